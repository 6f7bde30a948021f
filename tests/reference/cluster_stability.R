# Bootstrap Jaccard similarities of Ward's clusters, by fpc::clusterboot. Made 2026-11-25.
# Versions are printed into the expected file. Run in tests/reference: Rscript cluster_stability.R
suppressMessages(library(fpc))
set.seed(3)
n <- 90
centre <- rbind(c(0, 0), c(2.2, 0), c(1, 2.4))[rep(1:3, each = n / 3), ]
x <- round(centre + matrix(rnorm(2 * n, 0, 0.8), n, 2), 4)
B <- 25
set.seed(17)
boot <- clusterboot(x, B = B, bootmethod = "boot", clustermethod = hclustCBI,
                    method = "ward.D2", k = 3, scaling = FALSE, count = FALSE)
# The same draws again: clusterboot uses the generator for nothing else.
set.seed(17)
draws <- lapply(1:B, function(i) unique(sample(n, n, replace = TRUE)))
whole <- hclustCBI(x, k = 3, method = "ward.D2", scaling = FALSE)$partition
again <- sapply(draws, function(d) {
  own <- hclustCBI(x[d, ], k = 3, method = "ward.D2", scaling = FALSE)$partition
  sapply(1:3, function(g) max(sapply(1:3, function(h) clujaccard(whole[d] == g, own == h))))
})
stopifnot(all.equal(unname(boot$bootresult), unname(again)))
write.csv(data.frame(x = x[, 1], y = x[, 2], cluster = whole), "cluster_stability_input.csv",
          row.names = FALSE)
drawn <- do.call(rbind, lapply(1:B, function(b) data.frame(resample = b, person = draws[[b]])))
write.csv(drawn, "cluster_stability_draws.csv", row.names = FALSE)
out <- data.frame(resample = rep(1:B, each = 3), cluster = rep(1:3, B),
                  jaccard = as.vector(boot$bootresult), r = as.character(getRversion()),
                  fpc = as.character(packageVersion("fpc")))
write.csv(out, "cluster_stability_expected.csv", row.names = FALSE)
