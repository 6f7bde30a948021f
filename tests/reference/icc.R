# Golden values for tests/unit/test_features_agreement.py: psych::ICC and psych::cohen.kappa.
#
# Run from this folder:   Rscript icc.R
# Writes icc_input.csv (the tables, row by row), icc_expected.csv (the six forms of every table, with
# 95 % limits), kappa_input.csv and kappa_expected.csv.
#
# lmer = FALSE: the mean squares of the classical analysis of variance. With lmer = TRUE psych takes
# them from lme4, which holds negative variance components at zero and so shifts every form.

suppressPackageStartupMessages(library(psych))
set.seed(20261)

shrout <- matrix(c(
  9, 2, 5, 8,
  6, 1, 3, 2,
  8, 4, 6, 8,
  7, 1, 2, 6,
  10, 5, 6, 9,
  6, 2, 4, 7
), ncol = 4, byrow = TRUE) # Shrout & Fleiss 1979, table 2

tables <- list(
  shrout_fleiss_1979 = shrout,
  two_raters = matrix(c(3, 4, 6, 5, 8, 9, 2, 2, 7, 9, 5, 4, 9, 8, 4, 6), ncol = 2, byrow = TRUE),
  near_zero = round(matrix(rnorm(39 * 2, 0, 7), ncol = 2), 3),
  # Thresholds in kPa: a large level, three sessions, a drift of 15 kPa a session.
  large = round(rnorm(200, 350, 90) + matrix(rnorm(600, 0, 60), ncol = 3) +
    rep(c(0, 15, 30), each = 200), 2),
  # Persons alternate between sessions: they agree less than strangers would.
  negative = round(matrix(rnorm(12, 0, 1), ncol = 1) %*% matrix(c(1, -1), nrow = 1) +
    matrix(rnorm(24, 10, 1.2), ncol = 2), 3),
  # A log ratio: small values, moderate reliability.
  log_ratio = round(rnorm(34, 0.09, 0.094) + matrix(rnorm(68, 0, 0.104), ncol = 2), 5)
)

long <- do.call(rbind, lapply(names(tables), function(name) {
  x <- tables[[name]]
  data.frame(
    table = name, row = rep(seq_len(nrow(x)), ncol(x)), column = rep(seq_len(ncol(x)), each = nrow(x)),
    value = as.vector(x)
  )
}))
write.csv(long, "icc_input.csv", row.names = FALSE, quote = FALSE)

forms <- c(
  ICC1 = "ICC(1)", ICC2 = "ICC(A,1)", ICC3 = "ICC(C,1)",
  ICC1k = "ICC(1,k)", ICC2k = "ICC(A,k)", ICC3k = "ICC(C,k)"
)
expected <- do.call(rbind, lapply(names(tables), function(name) {
  r <- ICC(tables[[name]], lmer = FALSE)$results
  data.frame(
    table = name, form = paste0('"', forms[as.character(r$type)], '"'),
    estimate = sprintf("%.12g", r$ICC), lower = sprintf("%.12g", r[["lower bound"]]),
    upper = sprintf("%.12g", r[["upper bound"]])
  )
}))

header <- sprintf(
  "# psych %s, R %s.%s, made on 2026-11-25 by icc.R",
  packageVersion("psych"), R.version$major, R.version$minor
)
write_golden <- function(table, path) {
  out <- file(path, "w")
  writeLines(header, out)
  write.csv(table, out, row.names = FALSE, quote = FALSE)
  close(out)
}
write_golden(expected, "icc_expected.csv")

# Classes -1, 0, 1 (hyperalgesia, no change, hypoalgesia) in two sessions.
classes <- function(n, same) {
  first <- sample(c(-1, 0, 1), n, TRUE, c(.2, .5, .3))
  again <- ifelse(runif(n) < same, first, sample(c(-1, 0, 1), n, TRUE, c(.2, .5, .3)))
  data.frame(first = first, second = again)
}
pairs <- list(
  fair = classes(60, .4), none = classes(80, 0), strong = classes(40, .75),
  binary = subset(classes(120, .5), first >= 0 & second >= 0)
)
kappa_long <- do.call(rbind, lapply(names(pairs), function(n) cbind(table = n, pairs[[n]])))
write.csv(kappa_long, "kappa_input.csv", row.names = FALSE, quote = FALSE)
kappas <- do.call(rbind, lapply(names(pairs), function(name) {
  # cohen.kappa cuts its printed limits at 1; the variance is what is compared.
  k <- cohen.kappa(pairs[[name]])
  half <- qnorm(.975) * sqrt(k$var.kappa)
  data.frame(
    table = name, estimate = sprintf("%.12g", k$kappa), lower = sprintf("%.12g", k$kappa - half),
    upper = sprintf("%.12g", k$kappa + half)
  )
}))
write_golden(kappas, "kappa_expected.csv")
