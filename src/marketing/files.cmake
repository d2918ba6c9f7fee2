# SPDX-License-Identifier: Apache-2.0
target_sources(etalage PRIVATE
  src/marketing/allocation.cpp
  src/marketing/allocation_dual.cpp
  src/marketing/allocation_repair.cpp
  src/marketing/association_rules.cpp
  src/marketing/audience.cpp
  src/marketing/bg_bb.cpp
  src/marketing/customer_value.cpp
  src/marketing/frequent_sets.cpp
  src/marketing/gamma_gamma.cpp
  src/marketing/lifetime.cpp
  src/marketing/linear_uplift.cpp
  src/marketing/offer_prices.cpp
  src/marketing/pacing.cpp
  src/marketing/page.cpp
  src/marketing/page_cells.cpp
  src/marketing/page_checks.cpp
  src/marketing/page_dual.cpp
  src/marketing/page_repair.cpp
  src/marketing/parameter_fit.cpp
  src/marketing/pareto_integral.cpp
  src/marketing/purchase_forecast.cpp
  src/marketing/purchase_likelihood.cpp
  src/marketing/purchase_summaries.cpp
  src/marketing/row_assignment.cpp
  src/marketing/special_functions.cpp
  src/marketing/trust_region.cpp)
