# Golden values for tests/unit/test_features_one_way.py: lme4::lmer, value ~ 1 + (1 | person), REML.
#
# Run from this folder:   Rscript one_way.R
# Writes one_way_input.csv and one_way_expected.csv. All tables are unbalanced but the last.

suppressPackageStartupMessages(library(lme4))
set.seed(20262)
options(warn = 2)

make <- function(name, n, between, within, sizes, level = 0, digits = 4) {
  k <- rep_len(sizes, n)
  person <- rep(seq_len(n), k)
  data.frame(
    table = name, person = person, session = sequence(k),
    value = round(level + rnorm(n, 0, between)[person] + rnorm(sum(k), 0, within), digits)
  )
}
data <- rbind(
  make("small", 12, 1, 1, c(2, 3, 1)),
  make("many_single", 60, 0.09, 0.1, c(1, 1, 1, 2), level = 0.08, digits = 6),
  make("strong", 40, 90, 30, c(2, 4, 3), level = 350, digits = 2),
  make("weak", 50, 2, 7, c(2, 3), digits = 3),
  make("balanced", 39, 5, 6, 2, digits = 3)
)
write.csv(data, "one_way_input.csv", row.names = FALSE, quote = FALSE)
data <- read.csv("one_way_input.csv")

precise <- lmerControl(
  optimizer = "bobyqa", optCtrl = list(rhoend = 1e-12, maxfun = 1e5),
  check.conv.grad = "ignore", check.conv.hess = "ignore"
)
expected <- do.call(rbind, lapply(unique(data$table), function(name) {
  fit <- lmer(value ~ 1 + (1 | person), data[data$table == name, ], REML = TRUE, control = precise)
  parts <- as.data.frame(VarCorr(fit))$vcov
  data.frame(
    table = name, between = sprintf("%.12g", parts[1]), within = sprintf("%.12g", parts[2])
  )
}))
out <- file("one_way_expected.csv", "w")
writeLines(sprintf(
  "# lme4 %s, R %s.%s, made on 2026-11-25 by one_way.R",
  packageVersion("lme4"), R.version$major, R.version$minor
), out)
write.csv(expected, out, row.names = FALSE, quote = FALSE)
close(out)
