# Golden values of the difference within persons: paired t test, fixed effects with period and a
# sandwich by person, and a mixed model. Written 2026-11-25; R 4.2.2, lme4.
# Run in this folder: Rscript within_person.R
suppressMessages(library(lme4))
set.seed(20261125)
n <- 30
d <- expand.grid(period = 1:4, person = 1:n)
d$exercise <- as.vector(replicate(n, sample(c(0, 1, 0, 1))))
d$y <- round(rnorm(n)[d$person] * 2 + 0.6 * d$exercise + 0.3 * d$period + rnorm(4 * n), 4)
write.csv(d[, c("person", "period", "exercise", "y")], "within_person_input.csv", row.names = FALSE)

means <- aggregate(y ~ person + exercise, d, mean)
paired <- t.test(means$y[means$exercise == 1], means$y[means$exercise == 0], paired = TRUE)

fit <- lm(y ~ exercise + factor(period) + factor(person), d)
X <- model.matrix(fit)
scores <- rowsum(X * resid(fit), d$person)
bread <- solve(crossprod(X))
v <- bread %*% crossprod(scores) %*% bread * n / (n - 1)

mixed <- lmer(y ~ exercise + factor(period) + (1 | person), d)
out <- data.frame(
  what = c("paired_t", "fixed_effects", "mixed_model"),
  estimate = c(paired$estimate, coef(fit)["exercise"], fixef(mixed)["exercise"]),
  error = c(paired$stderr, sqrt(v[2, 2]), sqrt(vcov(mixed)[2, 2])),
  lower = c(paired$conf.int[1], coef(fit)["exercise"] - qt(0.975, n - 1) * sqrt(v[2, 2]), NA),
  upper = c(paired$conf.int[2], coef(fit)["exercise"] + qt(0.975, n - 1) * sqrt(v[2, 2]), NA)
)
write.csv(out, "within_person_expected.csv", row.names = FALSE)
