# Cronbach's alpha and McDonald's omega total of simulated answers (seed below; no person's data).
# R 4.2.2, psych 2.2.9, stats::factanal; 2026-11-25. Run in tests/reference: Rscript consistency.R
#
# alpha        psych::alpha, raw_alpha: covariances of the items as scored, complete rows
# omega_raw    (sum lambda)^2 / ((sum lambda)^2 + sum psi), lambda and psi of the one-factor maximum
#              likelihood solution of stats::factanal, brought back to the items' own spread
# omega_std    the same without that, from factanal
# omega_fa     the formula of omega_std with the loadings of psych::fa(fm = "ml"); psych::omega itself
#              needs the package GPArotation, which has no part in a one-factor solution
library(psych)
set.seed(20261125)
answers <- function(n, loadings, low, high) {
  f <- rnorm(n)
  latent <- sapply(loadings, function(l) l * f + sqrt(1 - l^2) * rnorm(n))
  spread <- seq(0.7, 1.3, length.out = length(loadings))
  middle <- (low + high) / 2 + seq(-0.4, 0.4, length.out = length(loadings))
  pmin(pmax(round(sweep(sweep(latent, 2, spread, "*"), 2, middle, "+")), low), high)
}
forms <- list(
  thirteen = answers(200, seq(0.5, 0.85, length.out = 13), 0, 4),
  seventeen = answers(120, c(seq(0.3, 0.7, length.out = 13), 0.1, 0.2, 0.15, 0.05), 1, 4),
  seven = answers(60, rep(0.75, 7), 0, 3)
)
rows <- list()
expected <- list()
for (name in names(forms)) {
  x <- forms[[name]]
  # A few missing answers: both sides leave those rows out.
  x[cbind(c(3, 10, 25), c(1, 2, 3))] <- NA
  keep <- complete.cases(x)
  y <- x[keep, ]
  fit <- factanal(y, 1, rotation = "none",
                  control = list(nstart = 3, opt = list(factr = 10, pgtol = 1e-12, maxit = 5000)))
  l <- as.vector(fit$loadings) * sign(sum(fit$loadings))
  psi <- as.vector(fit$uniquenesses)
  s <- apply(y, 2, sd)
  f <- fa(y, nfactors = 1, fm = "ml")
  lf <- as.vector(f$loadings)
  expected[[name]] <- data.frame(
    form = name, n_complete = nrow(y),
    alpha = suppressWarnings(alpha(as.data.frame(y), check.keys = FALSE)$total$raw_alpha),
    omega_raw = sum(l * s)^2 / (sum(l * s)^2 + sum(psi * s^2)),
    omega_std = sum(l)^2 / (sum(l)^2 + sum(psi)),
    omega_fa = sum(lf)^2 / (sum(lf)^2 + sum(f$uniquenesses))
  )
  long <- data.frame(form = name, row = rep(seq_len(nrow(x)), ncol(x)),
                     item = rep(seq_len(ncol(x)), each = nrow(x)), answer = as.vector(x))
  rows[[name]] <- long
}
write.csv(do.call(rbind, rows), "consistency_input.csv", row.names = FALSE, na = "", quote = FALSE)
out <- do.call(rbind, expected)
out[-(1:2)] <- lapply(out[-(1:2)], function(v) format(v, digits = 15))
write.csv(out, "consistency_expected.csv", row.names = FALSE, quote = FALSE)
