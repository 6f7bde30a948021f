# Golden values for tests/reference/test_nested_lrm.py: nested logistic models, a spline's test,
# the adequacy index, clustered covariances and the paired difference of two AUCs.
#
# R 4.2.2, rms 6.5.0, pROC 1.18.0; made on 2026-11-25.
# Run from this folder:   Rscript nested_lrm.R
# Writes nested_lrm_input.csv (the data, from a fixed seed) and nested_lrm_expected.csv (one row
# per figure).
#
# lrm stops when the deviance changes by less than eps; its default (0.025) is too coarse to
# compare with, so that eps is 1e-12 here.

suppressMessages({library(rms); library(pROC)})
set.seed(20261125)

case <- function(name, person) {
  n <- length(person)
  age <- round(rnorm(n, 50, 12), 1)
  group <- rbinom(n, 1, 0.5)
  marker <- round(0.3 * (age - 50) / 12 + rgamma(max(person), 3)[person] + rnorm(n, 0, 0.3), 3)
  eta <- -1.5 + 0.02 * (age - 50) + 0.5 * group + 0.6 * (marker - 3) - 0.1 * (marker - 3)^2 +
    0.7 * rnorm(max(person))[person]
  data.frame(case = name, person = person, y = rbinom(n, 1, plogis(eta)), age, group, marker)
}
bouts <- rep(seq_len(120), times = sample(1:4, 120, replace = TRUE))
data <- rbind(case("independent", seq_len(220)), case("clustered", bouts))
write.csv(data, "nested_lrm_input.csv", row.names = FALSE, quote = FALSE)
data <- read.csv("nested_lrm_input.csv")

fit <- function(formula, d) lrm(formula, data = d, eps = 1e-12, maxit = 100, x = TRUE, y = TRUE)
rows <- list()
add <- function(case, figure, value) {
  rows[[length(rows) + 1]] <<- data.frame(case, figure, value = sprintf("%.12g", value))
}
for (name in unique(data$case)) {
  d <- data[data$case == name, ]
  base <- fit(y ~ age + group, d)
  full <- fit(y ~ age + group + marker, d)
  test <- lrtest(base, full)
  add(name, "lr_statistic", test$stats[["L.R. Chisq"]])
  add(name, "lr_p", test$stats[["P"]])
  add(name, "adequacy", base$stats[["Model L.R."]] / full$stats[["Model L.R."]])
  for (term in names(coef(full))) add(name, paste0("coef_", term), coef(full)[[term]])
  add(name, "se_marker", sqrt(vcov(full)["marker", "marker"]))
  robust <- robcov(full, cluster = d$person)
  add(name, "robust_se_marker", sqrt(vcov(robust)["marker", "marker"]))
  knots <- quantile(d$marker, c(.05, .275, .5, .725, .95))
  curved <- fit(y ~ age + group + rcs(marker, knots), d)
  add(name, "spline_wald", anova(curved)[" Nonlinear", "Chi-Square"])
  add(name, "spline_lr", lrtest(full, curved)$stats[["L.R. Chisq"]])
  if (name == "independent") {
    a <- roc(d$y, predict(full, type = "fitted"), quiet = TRUE, direction = "<")
    b <- roc(d$y, predict(base, type = "fitted"), quiet = TRUE, direction = "<")
    paired <- roc.test(a, b, method = "delong", paired = TRUE)
    add(name, "auc_difference", as.numeric(a$auc) - as.numeric(b$auc))
    add(name, "auc_lower", paired$conf.int[1])
    add(name, "auc_upper", paired$conf.int[2])
    add(name, "auc_p", paired$p.value)
  }
}
write.csv(do.call(rbind, rows), "nested_lrm_expected.csv", row.names = FALSE, quote = FALSE)
