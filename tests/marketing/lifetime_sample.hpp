// SPDX-License-Identifier: Apache-2.0
// Small fitted models of customers' lifetime, and what golden files hold of them.
#pragma once

#include <span>
#include <vector>

#include "etalage/marketing/bg_bb.hpp"
#include "etalage/marketing/gamma_gamma.hpp"
#include "etalage/marketing/lifetime.hpp"

namespace etalage::testing {

struct SampleHistories {
  std::vector<double> x{0, 1, 2, 5, 9, 0, 3, 1, 0, 7, 2, 4};
  std::vector<double> tx{0, 3, 20, 31, 38, 0, 9, 30, 0, 22, 5, 36};
  std::vector<double> age{39, 38, 30, 33, 39, 12, 35, 31, 27, 28, 36, 37};
  std::vector<double> log_gaps{0, 1.1, 4.5, 9.0, 12.9, 0, 3.2, 3.4, 0, 7.9, 1.6, 8.7};
  std::vector<double> money{0, 12, 30, 22, 8, 0, 17, 44, 0, 25, 19, 13};
};

inline LifetimeModel sample_lifetime() {
  const SampleHistories s;
  LifetimeModel model(LifetimeKind::kMbgCnbd, {.k = 2});
  model.fit({s.x, s.tx, s.age, s.log_gaps});
  return model;
}

inline GammaGamma sample_money() {
  const SampleHistories s;
  GammaGamma model;
  model.fit(s.x, s.money);
  return model;
}

inline BgBb sample_opportunities() {
  BgBb model;
  model.fit({std::vector<double>{0, 1, 1, 2, 3, 4, 6}, std::vector<double>{0, 1, 4, 3, 6, 5, 6}, std::vector<double>{6, 6, 6, 6, 6, 6, 6}},
            std::vector<double>{40, 12, 6, 9, 8, 5, 7});
  return model;
}

inline std::vector<double> lifetime_answers(const LifetimeModel& model) {
  const SampleHistories s;
  std::vector<double> out(2 * s.x.size());
  model.expected_purchases(20, {s.x, s.tx, s.age, {}}, std::span(out).first(s.x.size()));
  model.p_alive({s.x, s.tx, s.age, {}}, std::span(out).last(s.x.size()));
  return out;
}

inline std::vector<double> money_answers(const GammaGamma& model) {
  const SampleHistories s;
  std::vector<double> out(s.x.size());
  model.expected_money(s.x, s.money, out);
  return out;
}

inline std::vector<double> opportunity_answers(const BgBb& model) {
  std::vector<double> out(3);
  model.expected_purchases(4, {std::vector<double>{0, 2, 6}, std::vector<double>{0, 5, 6}, std::vector<double>{6, 6, 6}}, out);
  return out;
}

}  // namespace etalage::testing
