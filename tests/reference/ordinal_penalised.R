# Penalised proportional odds with rms::lrm: golden values for models/ordinal.py.
# R 4.2.2, rms (see the version printed below), 2026-11-25.
# Run in this folder: Rscript ordinal_penalised.R
suppressMessages(library(rms))
cat("rms", as.character(packageVersion("rms")), "\n")
set.seed(20261125)
n <- 240
x <- matrix(round(rnorm(n * 4), 3), n)
colnames(x) <- c("a", "b", "c", "d")
eta <- 0.9 * x[, 1] - 0.6 * x[, 2] + rlogis(n)
order <- as.integer(cut(eta, c(-Inf, -1.6, 0.9, Inf))) - 1L
write.csv(data.frame(x, order), "ordinal_penalised_input.csv", row.names = FALSE)
# Terms are standardised by the SD of the rows (denominator n), as models/standardised.py does.
z <- apply(x, 2, function(v) (v - mean(v)) / sqrt(mean((v - mean(v))^2)))
result <- NULL
for (c in c(0.01, 0.1, 10)) {
  fit <- lrm(order ~ z, penalty = 1 / c, penalty.matrix = diag(4), tol = 1e-14, eps = 1e-12)
  # lrm: logit P(order >= j) = alpha_j + z b; the cuts of this project are -alpha.
  b <- unname(coef(fit))
  result <- rbind(result, data.frame(c = c, cut_low = -b[1], cut_high = -b[2],
                                     a = b[3], b = b[4], c_ = b[5], d = b[6]))
}
write.csv(format(result, digits = 12), "ordinal_penalised_expected.csv", row.names = FALSE, quote = FALSE)
