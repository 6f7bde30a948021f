# Mixed models of repeated changes with missing waves, by lme4. Made 2026-11-25.
# Versions are printed into mixed_lmer_expected.csv. Run in tests/reference: Rscript mixed_lmer.R
suppressMessages(library(lme4))
set.seed(7)
n <- 60; waves <- c(13, 26, 52)
d <- expand.grid(wave = waves, person = 1:n)
d$arm <- as.integer(d$person %% 2)
d$year <- d$wave / 52
u <- rnorm(n, 0, 1.2); s <- rnorm(n, 0, 0.9)
d$change <- 1 + 0.4 * d$arm + 0.5 * d$year + u[d$person] + s[d$person] * d$year + rnorm(nrow(d), 0, 0.8)
d <- d[runif(nrow(d)) > 0.2, ]
d$change <- round(d$change, 3); d$year <- round(d$year, 6)
write.csv(d[, c("person", "arm", "year", "change")], "mixed_lmer_input.csv", row.names = FALSE)
out <- NULL
tight <- lmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-10, maxfun = 1e5))
for (kind in c("intercept", "slope")) {
  f <- if (kind == "intercept") change ~ arm + year + (1 | person) else change ~ arm + year + (1 + year | person)
  m <- lmer(f, d, REML = TRUE, control = tight)
  v <- as.data.frame(VarCorr(m))
  values <- c(fixef(m), sqrt(diag(as.matrix(vcov(m)))), v$vcov, REMLcrit(m))
  names <- c(paste0("b_", 0:2), paste0("se_", 0:2),
             ifelse(is.na(v$var2), paste0("var_", v$grp, "_", v$var1), "covariance"), "criterion")
  out <- rbind(out, data.frame(model = kind, quantity = names, value = values,
    r = as.character(getRversion()), lme4 = as.character(packageVersion("lme4"))))
}
write.csv(out, "mixed_lmer_expected.csv", row.names = FALSE)
