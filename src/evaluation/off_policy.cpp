// SPDX-License-Identifier: Apache-2.0
#include "etalage/evaluation/off_policy.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "core/option_check.hpp"
#include "detail/check.hpp"
#include "etalage/error.hpp"
#include "evaluation/off_policy_checks.hpp"
#include "evaluation/off_policy_terms.hpp"

namespace etalage {
namespace {

using evaluation::OffPolicyTerms;

constexpr std::array<std::pair<std::string_view, OffPolicyEstimator>, 9> kEstimators = {{
    {"replay", OffPolicyEstimator::kReplay},
    {"dm", OffPolicyEstimator::kDm},
    {"ips", OffPolicyEstimator::kIps},
    {"snips", OffPolicyEstimator::kSnips},
    {"dr", OffPolicyEstimator::kDr},
    {"sndr", OffPolicyEstimator::kSndr},
    {"switch_dr", OffPolicyEstimator::kSwitchDr},
    {"dros", OffPolicyEstimator::kDros},
    {"mips", OffPolicyEstimator::kMips},
}};
constexpr int kMostSamples = 1'000'000;
constexpr std::array<std::pair<std::string_view, ListForm>, 4> kForms = {{
    {"independent", ListForm::kIndependent},
    {"reward_interaction", ListForm::kRewardInteraction},
    {"cascade", ListForm::kCascade},
    {"whole", ListForm::kWhole},
}};

template <class Table>
auto find_by_name(const Table& table, std::string_view name, const char* argument) {
  std::string plain(name);
  std::replace(plain.begin(), plain.end(), '-', '_');
  std::string known;
  for (const auto& [word, value] : table) {
    if (word == plain) return value;
    known += (known.empty() ? "'" : ", '") + std::string(word) + "'";
  }
  throw std::invalid_argument(std::string(argument) + " is '" + std::string(name) + "', must be one of " + known);
}

/// [n x places], row-major.
struct Weights {
  std::size_t places = 0;
  std::vector<double> values;
  [[nodiscard]] double at(std::size_t i, std::size_t k) const { return values[i * places + k]; }
};

Weights weights_of(const OffPolicyLog& log, ListForm form) {
  Weights w{log.rewards.cols(), std::vector<double>(log.rewards.rows() * log.rewards.cols())};
  for (std::size_t i = 0; i < log.rewards.rows(); ++i) {
    double* row = w.values.data() + i * w.places;
    double product = 1;
    for (std::size_t k = 0; k < w.places; ++k) {
      row[k] = log.targets(i, k) / log.propensities(i, k);
      product *= row[k];
      if (form != ListForm::kIndependent) row[k] = product;
    }
    if (form == ListForm::kWhole) std::fill(row, row + w.places, product);
  }
  return w;
}

/// Of place k, given the logged places above: weight 1 where the form does not look up.
double weight_above(const Weights& w, ListForm form, std::size_t i, std::size_t k) {
  const bool steps = form == ListForm::kRewardInteraction || form == ListForm::kCascade;
  return steps && k > 0 ? w.at(i, k - 1) : 1.0;
}

void describe_weights(const Weights& w, OffPolicyEstimate& out) {
  const std::size_t n = w.values.size() / w.places;
  out.ess = std::numeric_limits<double>::infinity();
  double furthest = -1;
  for (std::size_t k = 0; k < w.places; ++k) {
    double largest = 0;
    for (std::size_t i = 0; i < n; ++i) largest = std::max(largest, w.at(i, k));
    double sum = 0;
    double squares = 0;
    // In units of the largest, or products over many places overflow.
    for (std::size_t i = 0; i < n; ++i) {
      const double x = largest > 0 ? w.at(i, k) / largest : 0;
      sum += x;
      squares += x * x;
    }
    out.ess = std::min(out.ess, squares > 0 ? sum * sum / squares : 0.0);
    out.largest_weight = std::max(out.largest_weight, largest);
    const auto rows = static_cast<double>(n);
    const double mean = sum / rows;
    if (std::abs(mean * largest - 1) > furthest) {
      furthest = std::abs(mean * largest - 1);
      out.mean_weight = mean * largest;
      out.mean_weight_error = n > 1 ? largest * std::sqrt(std::max(squares / rows - mean * mean, 0.0) / (rows - 1)) : 0.0;
    }
  }
}

/// mean_i [ base_i + sum_k weight_ik r_ik ] as terms with its extremes.
template <class Base>
OffPolicyTerms linear_terms(const OffPolicyLog& log, const Weights& w, double low, double high, const Base& base) {
  const std::size_t n = log.rewards.rows();
  OffPolicyTerms t;
  t.linear.resize(n);
  t.lowest.resize(n);
  t.highest.resize(n);
  for (std::size_t i = 0; i < n; ++i) {
    const double b = base(i);
    double rewards = 0;
    double sum = 0;
    for (std::size_t k = 0; k < w.places; ++k) {
      rewards += w.at(i, k) * log.rewards(i, k);
      sum += w.at(i, k);
    }
    t.linear[i] = b + rewards;
    t.lowest[i] = b + low * sum;
    t.highest[i] = b + high * sum;
  }
  return t;
}

/// The reward model's part of DR: sum_k above_k v_k - w_k q_k.
double model_part(const OffPolicyLog& log, const Weights& w, ListForm form, std::size_t i) {
  double sum = 0;
  for (std::size_t k = 0; k < w.places; ++k)
    sum += weight_above(w, form, i, k) * log.q_target(i, k) - w.at(i, k) * log.q_logged(i, k);
  return sum;
}

/// What the model says of the target alone. In a cascade the first place's value holds all below it.
double direct(const OffPolicyLog& log, ListForm form, std::size_t i) {
  double sum = 0;
  for (std::size_t k = 0; k < (form == ListForm::kCascade ? 1 : log.q_target.cols()); ++k) sum += log.q_target(i, k);
  return sum;
}

double cut(OffPolicyEstimator estimator, double w, double parameter) {
  if (estimator == OffPolicyEstimator::kSwitchDr) return w <= parameter ? w : 0;
  return std::isinf(parameter) ? w : w == 0 ? 0 : w * parameter / (w * w + parameter);
}

struct CutError {
  double variance = 0;   ///< of the estimate
  double most_bias = 0;  ///< |mean (w - cut w)(r - q)|, what the log shows was cut away, and its standard error
};

CutError error_of_cut(const OffPolicyLog& log, const Weights& w, OffPolicyEstimator estimator, double parameter) {
  const auto rows = static_cast<double>(log.rewards.rows());
  double sum = 0, squares = 0, bias = 0, bias_squares = 0;
  for (std::size_t i = 0; i < log.rewards.rows(); ++i) {
    double term = 0, lost = 0;
    for (std::size_t k = 0; k < w.places; ++k) {
      const double kept = cut(estimator, w.at(i, k), parameter);
      const double residual = log.rewards(i, k) - log.q_logged(i, k);
      term += log.q_target(i, k) + kept * residual;
      lost += (w.at(i, k) - kept) * residual;
    }
    sum += term;
    squares += term * term;
    bias += lost;
    bias_squares += lost * lost;
  }
  const auto variance_of_mean = [rows](double s, double ss) { return std::max(ss / rows - s / rows * (s / rows), 0.0) / rows; };
  return {variance_of_mean(sum, squares), std::abs(bias / rows) + std::sqrt(variance_of_mean(bias, bias_squares))};
}

/// The threshold or shrinkage of least estimated mean squared error (after Su et al., 2020, section 5).
double chosen_parameter(const OffPolicyLog& log, const Weights& w, OffPolicyEstimator estimator) {
  std::vector<double> sorted(w.values);
  std::sort(sorted.begin(), sorted.end());
  std::vector<double> candidates;
  for (const double p : {0.5, 0.75, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999, 1.0}) {
    const double at = sorted[static_cast<std::size_t>(p * static_cast<double>(sorted.size() - 1))];
    candidates.push_back(estimator == OffPolicyEstimator::kSwitchDr ? at : at * at);
  }
  if (estimator == OffPolicyEstimator::kDros) {
    candidates.push_back(100 * candidates.back());
    candidates.push_back(std::numeric_limits<double>::infinity());
  }
  double best = std::numeric_limits<double>::infinity();
  double chosen = candidates.back();
  for (const double parameter : candidates) {
    const CutError e = error_of_cut(log, w, estimator, parameter);
    const double error = e.variance + e.most_bias * e.most_bias;
    // The later candidate cuts less: at equal error it is the safer one.
    if (error <= best) {
      best = error;
      chosen = parameter;
    }
  }
  return chosen;
}

/// Self-normalised: a ratio for each place.
OffPolicyTerms ratio_terms(const OffPolicyLog& log, const Weights& w, ListForm form, bool modelled) {
  const std::size_t n = log.rewards.rows();
  OffPolicyTerms t;
  t.linear.assign(n, 0.0);
  const auto add = [&](const auto& numerator, const auto& denominator) {
    std::vector<double> a(n), b(n);
    double total = 0;
    for (std::size_t i = 0; i < n; ++i) {
      a[i] = numerator(i);
      b[i] = denominator(i);
      total += b[i];
    }
    // Without any weight there is no correction to the model's part.
    if (total > 0) t.ratios.emplace_back(std::move(a), std::move(b));
  };
  for (std::size_t k = 0; k < w.places; ++k) {
    const auto weight = [&w, k](std::size_t i) { return w.at(i, k); };
    if (!modelled) {
      add([&](std::size_t i) { return w.at(i, k) * log.rewards(i, k); }, weight);
      continue;
    }
    const auto above = [&](std::size_t i) { return weight_above(w, form, i, k); };
    add([&](std::size_t i) { return above(i) * log.q_target(i, k); }, above);
    add([&](std::size_t i) { return w.at(i, k) * (log.rewards(i, k) - log.q_logged(i, k)); }, weight);
  }
  return t;
}

/// `w` as the estimator uses it: shrunk, cut, of embeddings.
OffPolicyTerms terms_of(const OffPolicyLog& log, const Weights& w, OffPolicyEstimator estimator, ListForm form, double low, double high) {
  switch (estimator) {
    case OffPolicyEstimator::kIps:
    case OffPolicyEstimator::kMips: return linear_terms(log, w, low, high, [](std::size_t) { return 0.0; });
    case OffPolicyEstimator::kDm: {
      const Weights none{w.places, std::vector<double>(w.values.size(), 0.0)};
      return linear_terms(log, none, low, high, [&](std::size_t i) { return direct(log, form, i); });
    }
    case OffPolicyEstimator::kDr:
    case OffPolicyEstimator::kSwitchDr:
    case OffPolicyEstimator::kDros: return linear_terms(log, w, low, high, [&](std::size_t i) { return model_part(log, w, form, i); });
    case OffPolicyEstimator::kReplay:
    case OffPolicyEstimator::kSnips: return ratio_terms(log, w, form, false);
    case OffPolicyEstimator::kSndr: return ratio_terms(log, w, form, true);
  }
  return {};
}

std::string assumption(OffPolicyEstimator estimator, ListForm form, bool list) {
  std::string text;
  const std::string overlap = "what the target does, the log did with a known probability above 0";
  switch (estimator) {
    case OffPolicyEstimator::kReplay: text = "the log drew uniformly at random, and the target is deterministic"; break;
    case OffPolicyEstimator::kDm: text = "the reward model is right; the interval does not hold its error"; break;
    case OffPolicyEstimator::kIps:
    case OffPolicyEstimator::kSnips: text = overlap; break;
    case OffPolicyEstimator::kDr:
    case OffPolicyEstimator::kSndr: text = overlap + ", or the reward model is right"; break;
    case OffPolicyEstimator::kSwitchDr: text = overlap + "; above the threshold of weights the reward model is right"; break;
    case OffPolicyEstimator::kDros: text = overlap + "; where weights are shrunk the reward model is right"; break;
    case OffPolicyEstimator::kMips:
      text = "the reward depends on the action through its embedding alone, and the log reached every embedding of the target";
      break;
  }
  if (!list) return text;
  switch (form) {
    case ListForm::kIndependent: return text + "; a place's reward depends on its own item alone, propensities are marginals of each place";
    case ListForm::kRewardInteraction:
    case ListForm::kCascade:
      return text + "; a place's reward depends on the items down to it alone, propensities are given the places above";
    case ListForm::kWhole: return text + "; propensities are given the places above, and nothing is assumed of the shopper";
  }
  return text;
}

}  // namespace

OffPolicyEstimator off_policy_estimator(std::string_view name) { return find_by_name(kEstimators, name, "estimators"); }
ListForm list_form(std::string_view name) { return find_by_name(kForms, name, "form"); }
std::string_view name_of(OffPolicyEstimator estimator) { return kEstimators[static_cast<std::size_t>(estimator)].first; }

void OffPolicyOptions::validate() const {
  // Infinity means something here: never switch, never shrink.
  if (switch_threshold) detail::require(*switch_threshold >= 0, "switch_threshold", *switch_threshold, ">= 0");
  if (shrinkage) detail::require(*shrinkage >= 0, "shrinkage", *shrinkage, ">= 0");
  require_options(*this);
  if (reward_low && reward_high) detail::require(*reward_high > *reward_low, "reward_high", *reward_high, "finite and above reward_low");
  detail::require(resampling.samples <= kMostSamples, "samples", resampling.samples, "at most 1000000");
}

std::vector<OffPolicyEstimate> estimate_off_policy(const OffPolicyLog& log, std::span<const OffPolicyEstimator> estimators,
                                                   const OffPolicyOptions& options) {
  options.validate();
  if (estimators.empty()) throw std::invalid_argument("estimators is empty, must name at least one");
  evaluation::check_log(log);
  const std::size_t n = log.rewards.rows();
  const std::size_t places = log.rewards.cols();
  const ListForm form = places > 1 ? options.form : ListForm::kIndependent;
  for (const OffPolicyEstimator e : estimators) evaluation::check_estimator(log, e, form);

  double low = 0, high = 1;
  bool never_varied = true;
  bool differs = false;
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t k = 0; k < places; ++k) {
      const double r = log.rewards(i, k);
      if ((options.reward_low && r < *options.reward_low) || (options.reward_high && r > *options.reward_high))
        throw std::invalid_argument(detail::violated(("rewards[" + std::to_string(i) + "]").c_str(), r, "in [reward_low, reward_high]"));
      low = std::min(low, r);
      high = std::max(high, r);
      never_varied = never_varied && log.propensities(i, k) == 1;
      differs = differs || log.targets(i, k) != 1;
    }
  low = options.reward_low.value_or(low);
  high = options.reward_high.value_or(high);
  const bool one_policy = never_varied && differs;

  const Weights raw = weights_of(log, form);
  std::vector<OffPolicyEstimate> out;
  for (const OffPolicyEstimator estimator : estimators) {
    if (one_policy && estimator != OffPolicyEstimator::kDm && estimator != OffPolicyEstimator::kReplay)
      throw std::invalid_argument("propensities are all 1, must be below 1 somewhere: a log of one policy that never varied says nothing of others");
    OffPolicyEstimate e;
    Weights used = raw;
    if (estimator == OffPolicyEstimator::kReplay)
      for (double& w : used.values) w = w > 0 ? 1 : 0;
    if (estimator == OffPolicyEstimator::kMips) used.values = evaluation::embedding_weights(log, raw.values, options.resampling.num_threads);
    describe_weights(used, e);
    const std::string name(name_of(estimator));
    const bool modelled = !log.q_target.empty() && estimator >= OffPolicyEstimator::kDr && estimator <= OffPolicyEstimator::kDros;
    if (!std::isfinite(e.largest_weight))
      throw std::invalid_argument("propensities are so small that a weight is not finite, must not be; of a list, use form='independent'");
    if (e.ess < options.min_ess && !options.allow_small)
      throw TooFewError("estimator '" + name + "': " + detail::violated("the effective sample size", e.ess, "at least min_ess (50 by default)") +
                        "; allow_small answers all the same");
    if (e.ess == 0 && !modelled && estimator != OffPolicyEstimator::kDm)
      throw TooFewError("estimator '" + name + "': the target never does what was logged, the log says nothing of it");

    double bias = 0;
    if (estimator == OffPolicyEstimator::kSwitchDr || estimator == OffPolicyEstimator::kDros) {
      const std::optional<double>& given = estimator == OffPolicyEstimator::kSwitchDr ? options.switch_threshold : options.shrinkage;
      e.parameter = given ? *given : chosen_parameter(log, used, estimator);
      bias = error_of_cut(log, used, estimator, e.parameter).most_bias;
      for (double& w : used.values) w = cut(estimator, w, e.parameter);
    }
    OffPolicyTerms terms = terms_of(log, used, estimator, form, low, high);
    terms.floor = low * static_cast<double>(places);
    terms.ceiling = high * static_cast<double>(places);
    evaluation::fill_intervals(terms, log.groups, options.resampling, e);
    if (!std::isfinite(e.value) || !std::isfinite(e.standard_error) || std::isinf(e.interval.low) || std::isinf(e.interval.high))
      throw NumericalError("estimator '" + name + "': the value or its error is not finite, must be: rewards, or rewards times weights, are too large for float64; scale them down");
    // Resampling does not see what was cut away.
    for (Interval* interval : {&e.interval, &e.bernstein}) *interval = {interval->low - bias, interval->high + bias};
    e.assumes = assumption(estimator, form, places > 1);
    out.push_back(std::move(e));
  }
  return out;
}

}  // namespace etalage
