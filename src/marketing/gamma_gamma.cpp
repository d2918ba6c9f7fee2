// SPDX-License-Identifier: Apache-2.0
#include "etalage/marketing/gamma_gamma.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

#include "core/option_check.hpp"
#include "core/option_state.hpp"
#include "detail/check.hpp"
#include "detail/parallel_for.hpp"
#include "etalage/error.hpp"
#include "marketing/check_row.hpp"
#include "marketing/fit_state.hpp"
#include "marketing/trust_region.hpp"

namespace etalage {
namespace {

using marketing::GammaLog;
using marketing::Jet;

constexpr std::size_t kSpendGrain = 4096;
constexpr std::array<const char*, 3> kGammaNames{"p", "q", "v"};

struct Spending {
  double x;
  double money;
  double weight;
};

void check(std::span<const double> frequency, std::span<const double> money) {
  detail::require(money.size() == frequency.size(), "money.size()", money.size(), "that of frequency");
  for (std::size_t i = 0; i < frequency.size(); ++i) {
    const double x = frequency[i];
    marketing::require_row(marketing::whole(x, 0, 1e9), "frequency", i, x, "a whole number in [0, 1e9]: repeat purchases");
    marketing::require_row(x == 0 || (std::isfinite(money[i]) && money[i] > 0), "money", i, money[i],
                           "finite and > 0 where frequency is > 0: leave out customers whose repeat purchases were free or returned");
  }
}

/// ln Gamma(px + q) - ln Gamma(px) - ln Gamma(q) + q ln v, which depends on x alone.
Jet part_of_x(double x, std::span<const double> par) {
  const double p = par[0];
  const double q = par[1];
  const double v = par[2];
  const GammaLog both = marketing::log_gamma(p * x + q);
  const GammaLog more = marketing::log_gamma_difference(p * x, q);
  const GammaLog second = marketing::log_gamma(q);
  Jet out;
  out.v = more.value - second.value + q * std::log(v);
  out.g[0] = x * more.first;
  out.g[1] = both.first - second.first + std::log(v);
  out.g[2] = q / v;
  out.h[Jet::at(0, 0)] = x * x * more.second;
  out.h[Jet::at(1, 0)] = x * both.second;
  out.h[Jet::at(1, 1)] = both.second - second.second;
  out.h[Jet::at(2, 1)] = 1 / v;
  out.h[Jet::at(2, 2)] = -q / (v * v);
  return out;
}

/// (px - 1) ln m + px ln x - (px + q) ln(xm + v).
Jet part_of_row(const Spending& s, std::span<const double> par) {
  const double shape = par[0] * s.x + par[1];
  const double sum = s.x * s.money + par[2];
  const double l = std::log(sum);
  const double share = -std::log1p(par[2] / (s.x * s.money));  // ln of xm / (xm + v)
  Jet out;
  out.v = par[0] * s.x * share - std::log(s.money) - par[1] * l;
  out.g[0] = s.x * share;
  out.g[1] = -l;
  out.g[2] = -shape / sum;
  out.h[Jet::at(2, 0)] = -s.x / sum;
  out.h[Jet::at(2, 1)] = -1 / sum;
  out.h[Jet::at(2, 2)] = shape / (sum * sum);
  return out;
}

}  // namespace

void GammaGammaOptions::validate() const { require_options(*this); }

GammaGamma::GammaGamma(GammaGammaOptions options) : options_(options) { options_.validate(); }

const ParameterFit& GammaGamma::fit(std::span<const double> frequency, std::span<const double> money) {
  check(frequency, money);
  std::vector<Spending> rows;
  for (std::size_t i = 0; i < frequency.size(); ++i)
    if (frequency[i] > 0) rows.push_back({frequency[i], money[i], 1});
  if (rows.empty())
    throw std::invalid_argument("frequency is 0 for every one of " + std::to_string(frequency.size()) + " customers, must be > 0 for some: money is that of repeat purchases");
  const auto customers = static_cast<std::int64_t>(rows.size());
  std::sort(rows.begin(), rows.end(), [](const Spending& a, const Spending& b) { return std::tie(a.x, a.money) < std::tie(b.x, b.money); });
  std::size_t kept = 0;
  double total = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    total += rows[i].money;
    if (kept > 0 && rows[kept - 1].x == rows[i].x && rows[kept - 1].money == rows[i].money) rows[kept - 1].weight += 1;
    else rows[kept++] = rows[i];
  }
  rows.resize(kept);
  const double mean = total / static_cast<double>(customers);

  const auto log_likelihood = [&](std::span<const double> p) {
    std::vector<Jet> parts(detail::num_chunks(rows.size(), kSpendGrain));
    detail::parallel_for(rows.size(), kSpendGrain, options_.num_threads, [&](std::size_t begin, std::size_t end, int) {
      Jet& sum = parts[begin / kSpendGrain];
      double weight = 0;
      for (std::size_t i = begin; i < end; ++i) {
        weight += rows[i].weight;
        if (i + 1 == end || rows[i + 1].x != rows[i].x) {
          sum.add(part_of_x(rows[i].x, p), weight);
          weight = 0;
        }
        sum.add(part_of_row(rows[i], p), rows[i].weight);
      }
    });
    Jet out;
    for (const Jet& j : parts) out += j;
    return out;
  };
  // Purchases of p = 10,000 vary by 1 %; beyond, differences of ln Gamma lose the digits that the search needs.
  constexpr double kReach = 1e4;
  const std::array<marketing::SearchRange, 3> ranges{
      {{2, 1 / kReach, kReach}, {3, 1 / kReach, kReach}, {mean, mean / kReach, mean * kReach}}};
  ParameterFit fit;
  fit.names.assign(kGammaNames.begin(), kGammaNames.end());
  marketing::maximise(fit, ranges, log_likelihood, options_.max_iterations);
  fit.customers = customers;
  fit.distinct = static_cast<std::int64_t>(rows.size());
  fit_ = std::move(fit);
  return fit_;
}

void GammaGamma::set_parameters(std::span<const double> values) {
  fit_ = marketing::given_fit(values, kGammaNames);
}

const ParameterFit& GammaGamma::parameters() const {
  if (!fitted()) throw NotFittedError("Gamma-Gamma is not fitted; call fit() first");
  return fit_;
}

void GammaGamma::expected_money(std::span<const double> frequency, std::span<const double> money, std::span<double> out) const {
  expected_money(parameters().values, frequency, money, out);
}

void GammaGamma::expected_money(std::span<const double> par, std::span<const double> frequency, std::span<const double> money, std::span<double> out) const {
  marketing::require_parameters(par, kGammaNames);
  check(frequency, money);
  detail::require(out.size() == frequency.size(), "out.size()", out.size(), "that of frequency");
  for (std::size_t i = 0; i < out.size(); ++i) {
    const double below = par[0] * frequency[i] + par[1] - 1;
    const double spent = frequency[i] > 0 ? frequency[i] * money[i] : 0;
    out[i] = below > 0 ? par[0] * (par[2] + spent) / below : std::numeric_limits<double>::infinity();
  }
}

void GammaGamma::save_state(StateWriter& writer) const {
  put_options(writer, options_);
  marketing::put_fit(writer, fit_);
}

GammaGamma GammaGamma::from_state(const StateReader& reader) {
  GammaGamma out(get_options<GammaGammaOptions>(reader));
  out.fit_ = marketing::get_fit(reader, kGammaNames);
  return out;
}

}  // namespace etalage
