# Golden values for tests/reference/test_validation_golden.py: rms::val.prob, Hmisc::somers2,
# stats::lowess, pROC's DeLong interval and paired test, and Obuchowski's clustered variance.
#
# R 4.2.2, rms 6.5.0, Hmisc 4.8.0, pROC 1.18.0; made on 2026-11-25.
# Run from this folder:   Rscript validation_rms_proc.R
# Writes validation_rms_proc_input.csv (the data, from a fixed seed), ..._expected.csv (one row
# per data set) and ..._lowess.csv (the calibration curve of three of them).
#
# val.prob counts concordant pairs in bins of the risk (lrm.fit, 1/5000 wide), so that its C and
# Dxy are rounded where risks lie closer. Risks here have three decimals, so that no bin holds two
# of them; the data set "continuous" has unrounded risks, and its exact C is that of somers2.

suppressMessages({library(rms); library(pROC)})
set.seed(20261125)

risks <- function(truth, noise, digits) {
  p <- plogis(truth + rnorm(length(truth), 0, noise))
  pmin(pmax(round(p, digits), 10^-digits), 1 - 10^-digits)
}
case <- function(name, n, intercept, slope = 1, digits = 3, person = seq_len(n)) {
  truth <- intercept + slope * rnorm(max(person))[person] + 0.4 * rnorm(n)
  data.frame(case = name, person = person, y = rbinom(n, 1, plogis(truth)),
             p = risks(truth, 0.5, digits), p2 = risks(0.7 * truth, 1, digits))
}
bouts <- rep(seq_len(90), times = sample(1:5, 90, replace = TRUE))
extreme <- case("extreme", 200, 0, 4)
extreme$p[c(3, 50)] <- c(1e-6, 1 - 1e-6)
data <- rbind(
  case("small", 40, -0.3),
  case("large", 1200, -0.5),
  case("ties", 150, 0, digits = 1),
  extreme,
  case("prevalence_2_percent", 1500, -4.4),
  case("clustered", length(bouts), -0.2, person = bouts),
  case("continuous", 150, 0.3, digits = 12)
)
data$p <- sprintf("%.12g", data$p)
data$p2 <- sprintf("%.12g", data$p2)
write.csv(data, "validation_rms_proc_input.csv", row.names = FALSE, quote = FALSE)
data <- read.csv("validation_rms_proc_input.csv")

# Obuchowski (1997), by the definition: every event against every other, summed within persons.
components <- function(y, p) {
  psi <- outer(p[y == 1], p[y == 0], function(a, b) (a > b) + 0.5 * (a == b))
  list(event = rowMeans(psi), other = colMeans(psi), auc = mean(psi))
}
clustered_covariance <- function(y, a, b, person) {
  M <- sum(y == 1); N <- sum(y == 0)
  ids <- unique(person); I <- length(ids)
  I10 <- length(unique(person[y == 1])); I01 <- length(unique(person[y == 0]))
  S10 <- 0; S01 <- 0; S11 <- 0
  for (id in ids) {
    e <- person[y == 1] == id; o <- person[y == 0] == id
    ae <- sum(a$event[e]) - sum(e) * a$auc; be <- sum(b$event[e]) - sum(e) * b$auc
    ao <- sum(a$other[o]) - sum(o) * a$auc; bo <- sum(b$other[o]) - sum(o) * b$auc
    S10 <- S10 + ae * be; S01 <- S01 + ao * bo; S11 <- S11 + ae * bo + be * ao
  }
  I10 / ((I10 - 1) * M^2) * S10 + I01 / ((I01 - 1) * N^2) * S01 + I / ((I - 1) * M * N) * S11
}

expected <- do.call(rbind, lapply(unique(data$case), function(name) {
  d <- data[data$case == name, ]
  v <- val.prob(d$p, d$y, pl = FALSE)
  curve <- lowess(d$p, d$y, iter = 0)
  error <- abs(d$p - approx(curve, xout = d$p, ties = mean)$y)
  first <- roc(d$y, d$p, quiet = TRUE, direction = "<")
  second <- roc(d$y, d$p2, quiet = TRUE, direction = "<")
  interval <- as.numeric(ci.auc(first, method = "delong"))
  test <- roc.test(first, second, method = "delong", paired = TRUE)
  a <- components(d$y, d$p); b <- components(d$y, d$p2)
  va <- clustered_covariance(d$y, a, a, d$person)
  vb <- clustered_covariance(d$y, b, b, d$person)
  vab <- clustered_covariance(d$y, a, b, d$person)
  values <- c(
    C_exact = somers2(d$p, d$y)[["C"]],
    Dxy = v[["Dxy"]], C = v[["C (ROC)"]], R2 = v[["R2"]], Brier = v[["Brier"]],
    Intercept = v[["Intercept"]], Slope = v[["Slope"]],
    Emax = v[["Emax"]], E90 = v[["E90"]], Eavg = v[["Eavg"]], E50 = median(error),
    auc_lower = interval[1], auc = interval[2], auc_upper = interval[3],
    auc_second = as.numeric(auc(second)),
    difference_z = test$statistic[[1]], difference_p = test$p.value,
    difference_lower = test$conf.int[1], difference_upper = test$conf.int[2],
    clustered_variance = va, clustered_difference_variance = va + vb - 2 * vab
  )
  cbind(case = name, as.data.frame(lapply(values, function(x) sprintf("%.15g", x))))
}))
write.csv(expected, "validation_rms_proc_expected.csv", row.names = FALSE, quote = FALSE)

curves <- do.call(rbind, lapply(c("small", "ties", "extreme"), function(name) {
  d <- data[data$case == name, ]
  s <- lowess(d$p, d$y, iter = 0)
  data.frame(case = name, x = sprintf("%.15g", s$x), y = sprintf("%.15g", s$y))
}))
write.csv(curves, "validation_rms_proc_lowess.csv", row.names = FALSE, quote = FALSE)
