# Random-effects pooling written out in base R: REML by direct maximisation of the restricted
# likelihood (optimize), DerSimonian-Laird by its formula, Hartung-Knapp interval (never narrower
# than without its factor), prediction
# interval with t on k - 2 degrees of freedom.
# Made with R 4.2.2 on 2026-11-25: Rscript tests/reference/meta_analysis.R
input <- data.frame(
  case = rep(c("varied", "alike", "three"), c(8, 6, 3)),
  estimate = c(0.9, 0.2, 1.4, 0.5, 0.7, -0.1, 1.1, 0.6, 0.50, 0.52, 0.47, 0.55, 0.51, 0.49, 0.2, 1.0, 0.5),
  se = c(0.2, 0.15, 0.3, 0.25, 0.1, 0.2, 0.4, 0.22, 0.2, 0.3, 0.25, 0.2, 0.4, 0.3, 0.1, 0.2, 0.15))
write.csv(input, "tests/reference/meta_analysis_input.csv", row.names = FALSE)
restricted <- function(tau2, y, v) {
  w <- 1 / (v + tau2)
  m <- sum(w * y) / sum(w)
  -0.5 * (sum(log(v + tau2)) + log(sum(w)) + sum(w * (y - m)^2))
}
laird <- function(y, v) {
  w <- 1 / v
  m <- sum(w * y) / sum(w)
  max(0, (sum(w * (y - m)^2) - (length(y) - 1)) / (sum(w) - sum(w^2) / sum(w)))
}
pool <- function(y, v, tau2) {
  w <- 1 / (v + tau2)
  k <- length(y)
  m <- sum(w * y) / sum(w)
  se <- sqrt(max(1, sum(w * (y - m)^2) / (k - 1)) / sum(w))
  wide <- qt(0.975, k - 2) * sqrt(tau2 + se^2)
  c(estimate = m, standard_error = se, lower = m - qt(0.975, k - 1) * se,
    upper = m + qt(0.975, k - 1) * se, between_sd = sqrt(tau2),
    prediction_lower = m - wide, prediction_upper = m + wide)
}
rows <- list()
for (case in unique(input$case)) {
  y <- input$estimate[input$case == case]
  v <- input$se[input$case == case]^2
  found <- optimize(restricted, c(0, 10), y = y, v = v, maximum = TRUE, tol = 1e-14)$maximum
  if (restricted(0, y, v) >= restricted(found, y, v)) found <- 0
  rows[[length(rows) + 1]] <- data.frame(case, method = "reml", t(pool(y, v, found)))
  rows[[length(rows) + 1]] <- data.frame(case, method = "dl", t(pool(y, v, laird(y, v))))
}
write.csv(do.call(rbind, rows), "tests/reference/meta_analysis_expected.csv", row.names = FALSE)
