// SPDX-License-Identifier: Apache-2.0
#include "etalage/models/als.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <numbers>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include "core/option_check.hpp"
#include "core/option_state.hpp"
#include "detail/check.hpp"
#include "detail/limits.hpp"
#include "detail/parallel_for.hpp"
#include "detail/random_stream.hpp"
#include "etalage/extend/state.hpp"
#include "etalage/error.hpp"
#include "models/auto_settings.hpp"
#include "models/answers.hpp"
#include "models/factor/als_basis.hpp"
#include "models/factor/als_model_state.hpp"
#include "models/factor/als_solver.hpp"
#include "models/fit_report_state.hpp"
#include "models/linear/gram_state.hpp"
#include "models/training_data.hpp"

namespace etalage {
void AlsOptions::validate() const {
  require_options(*this);
  using detail::require;
  using detail::require_finite;
  require(tolerance == 0 || compute_objective, "tolerance", tolerance, "0 unless compute_objective is set");
}

AlsModel::AlsModel(const AlsOptions& options) : options_(options) { options_.validate(); }
AlsModel::~AlsModel() = default;

namespace {

std::uint64_t mix(std::uint64_t z) { return detail::split_mix(z + detail::kSplitMixStep); }

// Bell-shaped numbers of variance 1 (the sum of four uniform ones) that depend on seed, side, row and column alone: a
// grown matrix begins as the smaller one did, and no mathematical library has a say in the bits.
float bell(std::uint64_t row_key, std::size_t column) {
  const std::uint64_t bits = mix(row_key + column);
  const std::uint64_t sum = (bits & 0xffff) + ((bits >> 16) & 0xffff) + ((bits >> 32) & 0xffff) + (bits >> 48);
  constexpr float kHalf = 2 * 65535.0f;
  constexpr float kScale = std::numbers::sqrt3_v<float> / 65536.0f;
  return (static_cast<float>(sum) - kHalf) * kScale;
}

}  // namespace

namespace als {

void start_row(const AlsOptions& options, std::uint64_t side, std::size_t r, float* out) noexcept {
  const float scale = options.init_scale / std::sqrt(static_cast<float>(options.factors));
  const std::uint64_t key = mix(mix(options.seed * 2 + side) + r);
  for (std::size_t k = 0; k < static_cast<std::size_t>(options.factors); ++k) out[k] = scale * bell(key, k);
}

CsrMatrix without_zeros(const CsrMatrix& matrix) {
  const auto zeros = static_cast<std::size_t>(std::count(matrix.values.begin(), matrix.values.end(), 0.0f));
  if (zeros == 0) return matrix;
  CsrMatrix kept{matrix.rows, matrix.cols, Array<std::int64_t>(matrix.offsets.size()),
                 Array<std::int32_t>(matrix.columns.size() - zeros), Array<float>(matrix.values.size() - zeros)};
  std::int64_t* offsets = kept.offsets.mutable_data();
  std::int32_t* columns = kept.columns.mutable_data();
  float* values = kept.values.mutable_data();
  std::size_t n = 0;
  for (std::int64_t r = 0; r < matrix.rows; ++r) {
    for (auto i = static_cast<std::size_t>(matrix.offsets[static_cast<std::size_t>(r)]);
         i < static_cast<std::size_t>(matrix.offsets[static_cast<std::size_t>(r) + 1]); ++i) {
      if (matrix.values[i] == 0) continue;
      columns[n] = matrix.columns[i];
      values[n++] = matrix.values[i];
    }
    offsets[r + 1] = static_cast<std::int64_t>(n);
  }
  return kept;
}

}  // namespace als

namespace {

using Clock = std::chrono::steady_clock;

double since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

// One side's rows during a fit, padded to [rows x n].
struct Side {
  CsrMatrix observed;
  Array<float> rows;
  std::size_t n = 0;
  std::size_t width = 0;
  std::optional<als::Plan> plan;

  [[nodiscard]] als::Fixed fixed() const {
    return {rows.data(), static_cast<std::size_t>(observed.rows), width, n};
  }
};

void begin_side(Side& side, const MatrixView<const float>& start, const AlsOptions& options, std::uint64_t number,
                const char* argument) {
  side.width = static_cast<std::size_t>(options.factors);
  side.n = als::padded(side.width);
  const auto count = static_cast<std::size_t>(side.observed.rows);
  if (start.rows() != 0) {
    if (start.cols() != side.width)
      throw std::invalid_argument(std::string(argument) + " has " + std::to_string(start.cols()) +
                                  " columns, must have one for each of the " + std::to_string(side.width) + " factors");
    if (start.rows() > count)
      throw std::invalid_argument(std::string(argument) + " has " + std::to_string(start.rows()) +
                                  " rows, must have at most the " + std::to_string(count) + " of the data");
    for (std::size_t r = 0; r < start.rows(); ++r)
      for (const float v : start.row(r)) detail::require_finite(true, argument, v, "finite");
  }
  Array<float> rows(count * side.n);
  float* out = rows.mutable_data();
  detail::parallel_for(count, 256, options.num_threads, [&](std::size_t r, std::size_t end, int) {
    for (; r < end; ++r) {
      if (r < start.rows()) {
        std::copy_n(start.row(r).data(), side.width, out + r * side.n);
      } else {
        als::start_row(options, number, r, out + r * side.n);
      }
    }
  });
  side.rows = std::move(rows);
}

Array<float> without_padding(Side& side) {
  if (side.n == side.width) return std::move(side.rows);
  const auto count = static_cast<std::size_t>(side.observed.rows);
  Array<float> rows(count * side.width, uninitialized);
  float* out = rows.mutable_data();
  for (std::size_t r = 0; r < count; ++r) std::copy_n(side.rows.data() + r * side.n, side.width, out + r * side.width);
  return rows;
}

void require_finite_gram(const std::vector<double>& gram, const char* side) {
  for (const double v : gram)
    if (!std::isfinite(v))
      throw NumericalError(std::string(side) + " factors left the finite numbers; increase regularization, or lower alpha");
}

double all_cells(std::span<const double> a, std::span<const double> b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

class Phases {
 public:
  explicit Phases(FitReport& report) : report_(report) {}
  template <class F>
  auto run(const char* name, F&& f) {
    const auto begin = Clock::now();
    struct Stop {
      Phases& phases;
      const char* name;
      Clock::time_point begin;
      ~Stop() { phases.add(name, since(begin)); }
    } stop{*this, name, begin};
    return f();
  }

 private:
  void add(const char* name, double seconds) {
    for (auto& [phase, total] : report_.phase_seconds)
      if (phase == name) {
        total += seconds;
        return;
      }
    report_.phase_seconds.emplace_back(name, seconds);
  }
  FitReport& report_;
};

void check_data(const CsrMatrix& m, const AlsOptions& options) {
  detail::check_training_rows(m);
  for (const float v : m.values)
    if (!(static_cast<double>(options.alpha.value()) * std::abs(static_cast<double>(v)) < 1e18))
      throw std::invalid_argument(detail::violated("user_items value", v, "below 1e18 in magnitude when multiplied by alpha"));
}

double objective_of(const Side& users, const Side& items, std::span<const double> user_gram,
                    std::span<const double> item_gram, const AlsOptions& o) {
  const als::Weights w(o);
  return als::observed_loss(users.observed.view(), items.fixed(), users.rows.data(), w, o.num_threads) +
         static_cast<double>(w.w0) * all_cells(user_gram, item_gram) +
         als::ridge_loss(users.observed.view(), users.rows.data(), users.n, items.fixed().count, w, o.num_threads) +
         als::ridge_loss(items.observed.view(), items.rows.data(), items.n, users.fixed().count, w, o.num_threads);
}

}  // namespace

FitReport AlsModel::fit(const Interactions& data, const ProgressCallback& callback, const Start& start) {
  AlsOptions o = settled(options_, shape_of(data));
  // A start says how many factors there are where nothing else does.
  for (const MatrixView<const float>& rows : {start.item_factors, start.user_factors})
    if (rows.rows() != 0 && rows.cols() <= 4096) o.factors.settle(static_cast<int>(rows.cols()));
  check_data(data.user_items(), o);
  const auto begin = Clock::now();
  FitReport report;
  Phases phases(report);
  Side users;
  Side items;
  std::vector<double> user_gram;
  std::vector<double> item_gram;
  phases.run("setup", [&] {
    users.observed = als::without_zeros(data.user_items());
    items.observed = transpose(users.observed.view(), o.num_threads);
    begin_side(users, start.user_factors, o, 0, "user_factors");
    begin_side(items, start.item_factors, o, 1, "item_factors");
    users.plan.emplace(users.observed.view(), users.n);
    items.plan.emplace(items.observed.view(), items.n);
  });
  const auto form_gram = [&](const Side& side, const char* name) {
    std::vector<double> g = phases.run("gram", [&] { return als::gram(side.fixed(), o.num_threads); });
    require_finite_gram(g, name);
    return g;
  };
  const auto add_objective = [&] {
    if (!o.compute_objective) return;
    report.objective.push_back(
        phases.run("objective", [&] { return objective_of(users, items, user_gram, item_gram, o); }));
  };
  als::Turns turns(users.width);
  // Turns both sides into the basis in which `gram` is diagonal, as which it is left.
  const auto turn = [&](std::vector<double>& gram) {
    if (!als::uses_basis(o, users.fixed().count + items.fixed().count, users.width)) return;
    phases.run("basis", [&] {
      const als::Basis basis(gram.data(), users.width);
      for (Side* side : {&users, &items}) als::turn(side->rows.mutable_data(), side->fixed().count, basis.vectors.data(), side->width, o.num_threads);
      turns.add(basis.vectors);
      gram = basis.gram();
    });
  };
  const auto solve = [&](Side& side, const Side& other, std::vector<double>& gram, const char* name) {
    turn(gram);
    phases.run(name, [&] {
      const als::ScaledGram scaled(gram.data(), other.width, o.unobserved_weight);
      als::solve_side(side.observed.view(), *side.plan, other.fixed(), scaled, o, name, side.rows.mutable_data());
    });
  };
  item_gram = form_gram(items, "item");
  if (o.compute_objective || o.iterations == 0) user_gram = form_gram(users, "user");
  add_objective();

  for (int sweep = 0; sweep < o.iterations; ++sweep) {
    solve(users, items, item_gram, "users");
    user_gram = form_gram(users, "user");
    solve(items, users, user_gram, "items");
    item_gram = form_gram(items, "item");
    add_objective();
    report.iterations = sweep + 1;
    const double now = o.compute_objective ? report.objective.back() : std::numeric_limits<double>::quiet_NaN();
    const double before = o.compute_objective ? report.objective[report.objective.size() - 2] : now;
    if (callback && !callback({.step = sweep + 1, .total = o.iterations, .seconds = since(begin), .objective = now,
                               .phase = "sweep"})) {
      report.stop_reason = FitReport::StopReason::kCancelled;
      break;
    }
    if (o.tolerance > 0 && before - now < o.tolerance * std::abs(before)) {
      report.stop_reason = FitReport::StopReason::kConverged;
      break;
    }
  }

  if (turns.any()) {
    phases.run("basis", [&] {
      const std::vector<double> back = turns.back();
      for (Side* side : {&users, &items}) als::turn(side->rows.mutable_data(), side->fixed().count, back.data(), side->width, o.num_threads);
    });
    user_gram = form_gram(users, "user");
    item_gram = form_gram(items, "item");
  }
  auto grams = std::make_shared<const Grams>(Array<double>(user_gram), Array<double>(item_gram), users.width, o.unobserved_weight);
  const auto num_users = static_cast<std::int32_t>(users.observed.rows);
  const auto num_items = static_cast<std::int32_t>(items.observed.rows);
  report.seconds = since(begin);
  set_factors(without_padding(users), num_users, without_padding(items), num_items, o.factors);
  grams_ = std::move(grams);
  // The old ids and rows are of another shape perhaps: none, then the new ones.
  set_history({});
  set_ids(data.user_ids(), data.item_ids());
  if (o.keep_history) set_history(data.user_items());
  fitted_on_ = pair_hash(data.user_items().view());
  newest_ms_ = data.newest_ms();
  options_ = o;
  report_ = report;
  return report;
}

FitReport AlsModel::refit(const Interactions& data, const ProgressCallback& callback) {
  if (!fitted()) return fit(data, callback);
  const auto rows = [](const Array<float>& a, std::int32_t n, std::int32_t f, std::int32_t at_most) {
    return MatrixView<const float>(a.data(), static_cast<std::size_t>(std::min(n, at_most)), static_cast<std::size_t>(f));
  };
  // Held here because fit() replaces the model's own.
  const Array<float> users = user_factors();
  const Array<float> items = item_factors();
  return fit(data, callback,
             {rows(users, num_users(), factors(), data.num_users()), rows(items, num_items(), factors(), data.num_items())});
}

AlsModel AlsModel::from_factors(const AlsOptions& options, const Interactions& data, const Start& factors, FitReport report) {
  const auto users = static_cast<std::size_t>(data.num_users());
  const auto items = static_cast<std::size_t>(data.num_items());
  if (factors.user_factors.rows() != users || factors.item_factors.rows() != items)
    throw std::invalid_argument("factors have " + std::to_string(factors.user_factors.rows()) + " and " +
                                std::to_string(factors.item_factors.rows()) + " rows, must have those of the data's shape (" +
                                std::to_string(users) + ", " + std::to_string(items) + ")");
  AlsOptions none = options;
  none.iterations = 0;
  none.compute_objective = false;
  none.tolerance = 0;
  AlsModel model(none);
  model.fit(data, {}, factors);
  options.validate();
  model.options_ = options;
  model.report_ = std::move(report);
  return model;
}

double AlsModel::objective(const Interactions& data) const {
  require_fitted();
  detail::check_shape(*this, data.num_users(), data.num_items());
  Side users;
  Side items;
  users.observed = als::without_zeros(data.user_items());
  items.observed = transpose(users.observed.view(), options_.num_threads);
  const auto width = static_cast<std::size_t>(factors());
  begin_side(users, {user_factors().data(), static_cast<std::size_t>(num_users()), width}, options_, 0, "user_factors");
  begin_side(items, {item_factors().data(), static_cast<std::size_t>(num_items()), width}, options_, 1, "item_factors");
  return objective_of(users, items, grams_->user, grams_->item, options_);
}

void AlsModel::save_state(StateWriter& writer) const {
  FactorModel::save_state(writer);
  put_options(writer, options_);
  writer.put_array("als/user_gram", grams_ ? grams_->user : Array<double>());
  writer.put_array("als/item_gram", grams_ ? grams_->item : Array<double>());
  put_report(writer, report_);
}

std::shared_ptr<AlsModel> AlsModel::from_state(const StateReader& reader) {
  const auto o = get_options<AlsOptions>(reader);
  auto model = std::make_shared<AlsModel>(o);
  model->load_factors(reader);
  if (model->fitted() && model->factors() != o.factors)
    reader.fail("factors", "found " + std::to_string(model->factors()) + ", expected " + std::to_string(o.factors.value()));
  const auto f = static_cast<std::size_t>(model->factors());
  Array<double> user_gram = get_gram(reader, "als/user_gram", f);
  Array<double> item_gram = get_gram(reader, "als/item_gram", f);
  if (model->fitted())
    model->grams_ = std::make_shared<const Grams>(std::move(user_gram), std::move(item_gram), f, o.unobserved_weight);
  model->load_base(reader);
  model->report_ = get_report(reader);
  return model;
}

}  // namespace etalage
