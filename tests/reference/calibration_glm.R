# Golden values for tests/unit/test_models_calibration.py: logistic recalibration by stats::glm.
#
# Run from this folder, with R and no packages:   Rscript calibration_glm.R
# Writes calibration_glm_input.csv (the data, from a fixed seed) and calibration_glm_expected.csv.

set.seed(20261)
options(warn = 2)

n <- 150
linear <- rnorm(n)
case <- function(name, log_odds, truth, weight) {
  data.frame(
    case = name,
    y = as.integer(runif(length(log_odds)) < plogis(truth)),
    # Rounded, so that the file holds exactly what glm was given.
    log_odds = round(log_odds, 6),
    weight = weight
  )
}
data <- rbind(
  case("calibrated", linear, linear, 1),
  case("overconfident", 2.5 * linear + 0.7, linear, 1),
  case("weighted", 0.5 * linear - 1, linear - 1, rpois(n, 1.5)),
  # Risks far above what happened.
  case("far_too_high", 2.5 + 0.4 * linear, 0.4 * linear, 1),
  # Heavily shrunken risks: hardly any spread.
  case("narrow", -0.4 + 0.001 * linear, linear - 0.4, 1)
)
write.csv(data, "calibration_glm_input.csv", row.names = FALSE, quote = FALSE)
data <- read.csv("calibration_glm_input.csv")

exactly <- glm.control(epsilon = 1e-14, maxit = 200)
expected <- do.call(rbind, lapply(unique(data$case), function(name) {
  rows <- data[data$case == name, ]
  both <- glm(y ~ log_odds, binomial, rows, weights = weight, control = exactly)
  large <- glm(y ~ offset(log_odds), binomial, rows, weights = weight, control = exactly)
  data.frame(
    case = name,
    intercept = sprintf("%.15g", coef(both)[[1]]),
    slope = sprintf("%.15g", coef(both)[[2]]),
    in_the_large = sprintf("%.15g", coef(large)[[1]])
  )
}))
out <- file("calibration_glm_expected.csv", "w")
writeLines(sprintf(
  "# stats::glm of R %s.%s, made on 2026-11-24 by calibration_glm.R", R.version$major, R.version$minor
), out)
write.csv(expected, out, row.names = FALSE, quote = FALSE)
close(out)
