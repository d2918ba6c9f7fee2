// SPDX-License-Identifier: Apache-2.0
#include "etalage/evaluation/reward_model.hpp"

#include <Eigen/Dense>
#include <cmath>
#include <stdexcept>
#include <string>

#include "core/option_check.hpp"
#include "detail/check.hpp"
#include "detail/parallel_for.hpp"
#include "detail/random_stream.hpp"
#include "evaluation/off_policy_checks.hpp"

namespace etalage {
namespace {

using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Vector = Eigen::VectorXd;

using evaluation::require_entry;

constexpr int kNewtonSteps = 30;

double link(double margin, bool logistic) { return logistic ? 1 / (1 + std::exp(-margin)) : margin; }

/// Penalised fit of y on [1, x] over an offset. The intercept is penalised only where `shrink`: beneath a pooled model.
Vector fitted(const Matrix& x, std::span<const std::size_t> rows, std::span<const double> y, const Vector& offset, double l2, bool shrink,
              bool logistic) {
  const Eigen::Index d = x.cols();
  Vector w = Vector::Zero(d);
  for (int step = 0; step < (logistic ? kNewtonSteps : 1); ++step) {
    Matrix hessian = Matrix::Zero(d, d);
    Vector gradient = Vector::Zero(d);
    for (const std::size_t i : rows) {
      const auto row = x.row(static_cast<Eigen::Index>(i));
      const double p = link(offset[static_cast<Eigen::Index>(i)] + row.dot(w), logistic);
      gradient += (y[i] - p) * row.transpose();
      hessian.noalias() += (logistic ? p * (1 - p) : 1.0) * row.transpose() * row;
    }
    for (Eigen::Index c = 0; c < d; ++c) {
      // A trace on the intercept keeps the step finite where all rewards are alike.
      const double penalty = c > 0 || shrink ? l2 : 1e-3;
      gradient[c] -= penalty * w[c];
      hessian(c, c) += penalty;
    }
    Vector change = hessian.ldlt().solve(gradient);
    // Newton may overshoot far from the optimum.
    const double largest = change.cwiseAbs().maxCoeff();
    if (logistic && largest > 4) change *= 4 / largest;
    w += change;
    if (largest < 1e-10) break;
  }
  return w;
}

struct Model {
  Vector shared;                ///< [d + 1]
  std::vector<Vector> actions;  ///< [actions][d + 1], empty for those never seen
  bool logistic = false;
  [[nodiscard]] double at(const Eigen::Ref<const Eigen::RowVectorXd>& row, std::size_t action, double shared_margin) const {
    const Vector& own = actions[action];
    return link(shared_margin + (own.size() > 0 ? row.dot(own) : 0.0), logistic);
  }
};

Model learn(const Matrix& x, std::span<const std::int32_t> actions, std::span<const double> rewards, std::size_t num_actions,
            const std::vector<std::uint8_t>& held, const RewardModelOptions& o) {
  std::vector<std::size_t> rows;
  std::vector<std::vector<std::size_t>> of_action(num_actions);
  for (std::size_t i = 0; i < actions.size(); ++i) {
    if (held[i] != 0) continue;
    rows.push_back(i);
    of_action[static_cast<std::size_t>(actions[i])].push_back(i);
  }
  Model m;
  m.logistic = o.logistic;
  m.shared = fitted(x, rows, rewards, Vector::Zero(x.rows()), o.l2, false, o.logistic);
  const Vector offset = x * m.shared;
  m.actions.resize(num_actions);
  for (std::size_t a = 0; a < num_actions; ++a)
    if (!of_action[a].empty()) m.actions[a] = fitted(x, of_action[a], rewards, offset, o.l2, true, o.logistic);
  return m;
}

Matrix standardised(MatrixView<const double> contexts, std::size_t n) {
  Matrix x(static_cast<Eigen::Index>(n), static_cast<Eigen::Index>(contexts.cols()) + 1);
  x.col(0).setOnes();
  for (std::size_t c = 0; c < contexts.cols(); ++c) {
    auto column = x.col(static_cast<Eigen::Index>(c) + 1);
    for (std::size_t i = 0; i < n; ++i) column[static_cast<Eigen::Index>(i)] = contexts(i, c);
    column.array() -= column.mean();
    const double scale = std::sqrt(column.squaredNorm() / static_cast<double>(n));
    if (scale > 0) column /= scale;
  }
  return x;
}

void check(MatrixView<const double> contexts, std::span<const std::int32_t> actions, std::span<const double> rewards,
           MatrixView<const double> targets, std::span<const std::int32_t> groups, const RewardModelOptions& o) {
  const std::size_t n = rewards.size();
  const auto need = [n](std::size_t found, const char* name) {
    if (found != n) throw std::invalid_argument(std::string(name) + " has " + std::to_string(found) + " rows, must have " + std::to_string(n) + " as rewards");
  };
  if (n < 2) throw std::invalid_argument(detail::violated("rewards", std::to_string(n) + " values", "at least 2"));
  need(contexts.rows(), "contexts");
  need(actions.size(), "actions");
  need(targets.rows(), "target_probabilities");
  if (!groups.empty()) need(groups.size(), "groups");
  if (contexts.cols() > 4096) throw std::invalid_argument(detail::violated("contexts", std::to_string(contexts.cols()) + " columns", "at most 4096"));
  const std::string known = "in [0, " + std::to_string(targets.cols()) + ")";
  for (std::size_t i = 0; i < n; ++i) {
    const double r = rewards[i];
    require_entry(o.logistic ? r == 0 || r == 1 : std::isfinite(r), "rewards", i, r, o.logistic ? "0 or 1 for a logistic model" : "finite");
    require_entry(actions[i] >= 0 && static_cast<std::size_t>(actions[i]) < targets.cols(), "actions", i, actions[i], known.c_str());
    for (const double v : contexts.row(i)) require_entry(std::isfinite(v), "contexts", i, v, "finite");
    for (const double p : targets.row(i)) require_entry(p >= 0 && p <= 1, "target_probabilities", i, p, "in [0, 1]");
    if (!groups.empty()) require_entry(groups[i] >= 0, "groups", i, groups[i], ">= 0");
  }
}

}  // namespace

void RewardModelOptions::validate() const { require_options(*this); }

RewardPredictions cross_fitted_rewards(MatrixView<const double> contexts, std::span<const std::int32_t> actions,
                                       std::span<const double> rewards, MatrixView<const double> targets,
                                       std::span<const std::int32_t> groups, const RewardModelOptions& options) {
  options.validate();
  check(contexts, actions, rewards, targets, groups, options);
  const std::size_t n = rewards.size();
  const Matrix x = standardised(contexts, n);
  std::vector<std::uint32_t> fold(n);
  for (std::size_t i = 0; i < n; ++i) {
    const std::uint64_t unit = groups.empty() ? i : static_cast<std::uint64_t>(groups[i]);
    fold[i] = detail::RandomStream(options.seed, 3, unit).below(static_cast<std::uint32_t>(options.folds));
  }
  RewardPredictions out{std::vector<double>(n), std::vector<double>(n)};
  detail::parallel_for(static_cast<std::size_t>(options.folds), 1, options.num_threads, [&](std::size_t begin, std::size_t end, int) {
    for (std::size_t f = begin; f < end; ++f) {
      std::vector<std::uint8_t> held(n);
      for (std::size_t i = 0; i < n; ++i) held[i] = fold[i] == f;
      const Model model = learn(x, actions, rewards, targets.cols(), held, options);
      for (std::size_t i = 0; i < n; ++i) {
        if (held[i] == 0) continue;
        const auto row = x.row(static_cast<Eigen::Index>(i));
        const double shared = row.dot(model.shared);
        out.logged[i] = model.at(row, static_cast<std::size_t>(actions[i]), shared);
        for (std::size_t a = 0; a < targets.cols(); ++a)
          if (targets(i, a) > 0) out.target[i] += targets(i, a) * model.at(row, a, shared);
      }
    }
  });
  return out;
}

}  // namespace etalage
