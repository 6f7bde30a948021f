# Optimism-corrected Dxy and slope of a logistic model by rms::validate, B = 500 per run.
# Made with R 4.2.2 and rms 6.5.0 on 2026-11-25:
#   Rscript tests/reference/rms_validate.R
# Writes rms_validate_input.csv (simulated) and rms_validate_expected.csv: per index the apparent
# value, the corrected value averaged over 8 independent runs, and its standard error over runs.
suppressPackageStartupMessages(library(rms))
set.seed(20261125)
n <- 120
x <- matrix(rnorm(n * 6), n)
y <- rbinom(n, 1, plogis(-0.4 + 0.8 * x[, 1] - 0.5 * x[, 2]))
data <- data.frame(y, x1 = x[, 1], x2 = x[, 2], x3 = x[, 3], x4 = x[, 4], x5 = x[, 5], x6 = x[, 6])
data[, -1] <- round(data[, -1], 6)
write.csv(data, "tests/reference/rms_validate_input.csv", row.names = FALSE)
fit <- lrm(y ~ x1 + x2 + x3 + x4 + x5 + x6, data = data, x = TRUE, y = TRUE, maxit = 50, tol = 1e-12)
runs <- lapply(1:8, function(i) {
  set.seed(i)
  validate(fit, B = 500)
})
pick <- function(index, column) sapply(runs, function(v) v[index, column])
rows <- lapply(c("Dxy", "Slope", "Intercept", "B"), function(index) {
  corrected <- pick(index, "index.corrected")
  data.frame(index, apparent = runs[[1]][index, "index.orig"], corrected = mean(corrected),
             se = sd(corrected) / sqrt(length(corrected)), sd_of_a_run = sd(corrected))
})
write.csv(do.call(rbind, rows), "tests/reference/rms_validate_expected.csv", row.names = FALSE)
