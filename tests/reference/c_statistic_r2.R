# Golden values for tests/unit/test_models_sample_size.py: Cox-Snell R² of a C statistic, by the
# simulation of Riley, Van Calster and Collins (Stat Med 2021;40:859): normal linear predictors of
# equal variance among events and others, and a logistic model of the outcome on them.
#
# R 4.2.2, no packages; made on 2026-11-25. Run from this folder:   Rscript c_statistic_r2.R
# Writes c_statistic_r2_expected.csv. With 2,000,000 draws the standard error of R² is below 0.0004.

set.seed(20261125)
n <- 2e6
cases <- data.frame(c_statistic = c(0.60, 0.70, 0.78, 0.81, 0.89), prevalence = c(0.4, 0.3, 0.2, 0.77, 0.174))
cases$r2 <- apply(cases, 1, function(case) {
  events <- round(n * case[["prevalence"]])
  y <- rep(c(1, 0), c(events, n - events))
  x <- rnorm(n) + y * sqrt(2) * qnorm(case[["c_statistic"]])
  # The sufficient model has one coefficient; glm on two million rows is slow but certain.
  fit <- glm.fit(cbind(1, x), y, family = binomial())
  1 - exp(-(fit$null.deviance - fit$deviance) / n)
})
cases$r2 <- sprintf("%.8f", cases$r2)
write.csv(cases, "c_statistic_r2_expected.csv", row.names = FALSE, quote = FALSE)
