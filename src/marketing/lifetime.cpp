// SPDX-License-Identifier: Apache-2.0
#include "etalage/marketing/lifetime.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <stdexcept>
#include <string>

#include "core/option_check.hpp"
#include "core/option_state.hpp"
#include "detail/check.hpp"
#include "detail/parallel_for.hpp"
#include "etalage/error.hpp"
#include "marketing/fit_state.hpp"
#include "marketing/purchase_process.hpp"
#include "marketing/trust_region.hpp"

namespace etalage {
namespace {

constexpr std::int32_t kMostK = 12;
constexpr std::size_t kCustomerGrain = 1024;
constexpr std::array<const char*, 4> kBetaNames{"r", "alpha", "a", "b"};
constexpr std::array<const char*, 4> kParetoNames{"r", "alpha", "s", "beta"};

std::span<const char* const> names_of(LifetimeKind kind) { return kind == LifetimeKind::kParetoNbd ? kParetoNames : kBetaNames; }

ParameterFit search(LifetimeKind kind, std::int32_t k, std::span<const marketing::HistoryGroup> groups, const LifetimeOptions& options) {
  double purchases = 0;
  double time = 0;
  double customers = 0;
  for (const auto& g : groups) {
    purchases += g.weight * g.x;
    time += g.weight * g.age;
    customers += g.weight;
  }
  const double age = time / customers;
  const double rate = k * purchases / time;
  constexpr double kReach = 1e6;
  const auto ranges_from = [&](double r) {
    const double alpha = r / rate;
    const marketing::SearchRange shape{r, 1 / kReach, kReach};
    const marketing::SearchRange scale{alpha, alpha / kReach, alpha * kReach};
    if (kind == LifetimeKind::kParetoNbd)
      return std::array<marketing::SearchRange, 4>{shape, scale, {0.5, 1 / kReach, kReach}, {age, age / kReach, age * kReach}};
    return std::array<marketing::SearchRange, 4>{shape, scale, {0.8, 1 / kReach, kReach}, {2.0, 1 / kReach, kReach}};
  };
  ParameterFit best;
  for (const double r : {0.7, 0.15, 4.0}) {
    ParameterFit fit;
    for (const char* n : names_of(kind)) fit.names.emplace_back(n);
    const auto ranges = ranges_from(r);
    marketing::maximise(fit, ranges, [&](std::span<const double> p) { return marketing::log_likelihood(kind, k, p, groups, options.num_threads); },
                        options.max_iterations);
    if (best.values.empty() || (fit.converged && !best.converged) ||
        (fit.converged == best.converged && fit.log_likelihood > best.log_likelihood))
      best = fit;
    if (best.converged && best.at_bound.empty()) break;
  }
  best.customers = static_cast<std::int64_t>(customers);
  best.distinct = static_cast<std::int64_t>(groups.size());
  return best;
}

}  // namespace

std::string_view lifetime_name(LifetimeKind kind) noexcept {
  switch (kind) {
    case LifetimeKind::kBgNbd: return "BG/NBD";
    case LifetimeKind::kMbgNbd: return "MBG/NBD";
    case LifetimeKind::kParetoNbd: return "Pareto/NBD";
    case LifetimeKind::kMbgCnbd: return "MBG/CNBD-k";
  }
  return "";
}

void LifetimeOptions::validate() const { require_options(*this); }

LifetimeModel::LifetimeModel(LifetimeKind kind, LifetimeOptions options) : kind_(kind), options_(options) {
  options_.validate();
  if (kind != LifetimeKind::kMbgCnbd) detail::require(options_.k <= 1, "k", options_.k, "0 or 1 but for MBG/CNBD-k");
  k_ = std::max(options_.k, 1);
}

const ParameterFit& LifetimeModel::fit(const PurchaseHistories& customers) {
  const auto begun = std::chrono::steady_clock::now();
  marketing::check_histories(customers);
  const bool choose = kind_ == LifetimeKind::kMbgCnbd && options_.k == 0;
  const auto groups = marketing::grouped(customers);
  if (groups.empty() || groups.back().x == 0)
    throw std::invalid_argument("frequency is 0 for every one of " + std::to_string(customers.frequency.size()) +
                                " rows, must be > 0 for some: without a repeat purchase there is no rate to estimate");
  std::vector<double> by_k;
  ParameterFit best;
  std::int32_t best_k = 1;
  const std::int32_t first = choose ? 1 : std::max(options_.k, 1);
  const std::int32_t last = choose ? kMostK : first;
  for (std::int32_t k = first; k <= last; ++k) {
    ParameterFit fit = search(kind_, k, groups, options_);
    fit.log_likelihood += marketing::gap_term(k, customers);
    by_k.push_back(fit.log_likelihood);
    if (!best.values.empty() && !(fit.log_likelihood > best.log_likelihood)) break;
    best = std::move(fit);
    best_k = k;
  }
  best.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  fit_ = std::move(best);
  k_ = best_k;
  by_k_ = choose ? std::move(by_k) : std::vector<double>{};
  return fit_;
}

void LifetimeModel::set_parameters(std::span<const double> values) {
  fit_ = marketing::given_fit(values, names_of(kind_));
  k_ = std::max(options_.k, 1);
  by_k_.clear();
}

const ParameterFit& LifetimeModel::parameters() const {
  if (!fitted()) throw NotFittedError(std::string(lifetime_name(kind_)) + " is not fitted; call fit() first");
  return fit_;
}

void LifetimeModel::expected_purchases(double t, const PurchaseHistories& customers, std::span<double> out) const {
  expected_purchases(parameters().values, t, customers, out);
  for (std::size_t i = 0; i < out.size(); ++i)
    if (std::isinf(out[i]))
      throw std::invalid_argument(detail::violated(
          "t", t, ("so near that customer " + std::to_string(i) + " is not expected to have made millions of purchases by then").c_str()));
}

void LifetimeModel::p_alive(const PurchaseHistories& customers, std::span<double> out) const { p_alive(parameters().values, customers, out); }

double LifetimeModel::expected_purchases_of_new(double t) const {
  const double zero = 0;
  double out = 0;
  expected_purchases(t, {{&zero, 1}, {&zero, 1}, {&zero, 1}, {}}, {&out, 1});
  return out;
}

void LifetimeModel::expected_purchases(std::span<const double> p, double t, const PurchaseHistories& customers, std::span<double> out) const {
  marketing::require_parameters(p, names_of(kind_));
  detail::require_finite(t >= 0, "t", t, "finite and >= 0");
  marketing::check_histories(customers);
  detail::require(out.size() == customers.frequency.size(), "out.size()", out.size(), "that of frequency");
  detail::parallel_for(out.size(), kCustomerGrain, options_.num_threads, [&](std::size_t begin, std::size_t end, int) {
    for (std::size_t i = begin; i < end; ++i)
      out[i] = marketing::expected_purchases(kind_, k_, p, t, customers.frequency[i], customers.recency[i], customers.age[i]);
  });
}

void LifetimeModel::p_alive(std::span<const double> p, const PurchaseHistories& customers, std::span<double> out) const {
  marketing::require_parameters(p, names_of(kind_));
  marketing::check_histories(customers);
  detail::require(out.size() == customers.frequency.size(), "out.size()", out.size(), "that of frequency");
  detail::parallel_for(out.size(), kCustomerGrain, options_.num_threads, [&](std::size_t begin, std::size_t end, int) {
    for (std::size_t i = begin; i < end; ++i)
      out[i] = marketing::p_alive(kind_, k_, p, customers.frequency[i], customers.recency[i], customers.age[i]);
  });
}

void LifetimeModel::save_state(StateWriter& writer) const {
  writer.put_int("kind", static_cast<std::int64_t>(kind_));
  put_options(writer, options_);
  writer.put_int("k", k_);
  writer.put_doubles("log_likelihood_of_k", by_k_);
  marketing::put_fit(writer, fit_);
}

LifetimeModel LifetimeModel::from_state(const StateReader& reader) {
  const auto kind = static_cast<LifetimeKind>(reader.get_int("kind", 0, 3));
  const auto options = get_options<LifetimeOptions>(reader);
  if (options.k > 1 && kind != LifetimeKind::kMbgCnbd) reader.fail("options/k", "found " + std::to_string(options.k) + ", expected at most 1");
  LifetimeModel out(kind, options);
  out.k_ = static_cast<std::int32_t>(reader.get_int("k", 1, kind == LifetimeKind::kMbgCnbd ? kMostK : 1));
  out.by_k_ = reader.get_doubles("log_likelihood_of_k");
  out.fit_ = marketing::get_fit(reader, names_of(kind));
  return out;
}

}  // namespace etalage
