// SPDX-License-Identifier: Apache-2.0
#include "etalage/evaluation/evaluator.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "detail/check.hpp"
#include "detail/parallel_for.hpp"
#include "etalage/evaluation/fit_check.hpp"
#include "evaluation/evaluation_builder.hpp"

namespace etalage {
namespace {

// Queries handed to a model at a time: a batch reads its matrix once for all of them, so that with 1024 the factors of
// Gowalla are read 29 times, and evaluating takes three times as long as with this.
constexpr std::size_t kBlock = 16384;

std::string shape_of(std::int64_t rows, std::int64_t cols) {
  return "(" + std::to_string(rows) + ", " + std::to_string(cols) + ")";
}

// What each user should have got: sorted rows without empty ones.
struct Relevant {
  std::vector<std::int32_t> users;
  std::vector<std::size_t> offsets{0};
  std::vector<std::int32_t> items;
  std::int64_t hidden = 0;
  [[nodiscard]] std::span<const std::int32_t> of(std::size_t j) const {
    return std::span(items).subspan(offsets[j], offsets[j + 1] - offsets[j]);
  }
};

using History = std::function<std::span<const std::int32_t>(std::int64_t)>;

void add_relevant(const CsrView& test, std::int32_t user, std::span<const std::int32_t> seen, Relevant& out,
                  std::vector<std::int32_t>& sorted_seen) {
  sorted_seen.assign(seen.begin(), seen.end());
  std::sort(sorted_seen.begin(), sorted_seen.end());
  const auto items = test.row_columns(user);
  const auto values = test.row_values(user);
  const auto begin = static_cast<std::ptrdiff_t>(out.items.size());
  for (std::size_t j = 0; j < items.size(); ++j) {
    if (!(values[j] > 0)) continue;
    if (std::binary_search(sorted_seen.begin(), sorted_seen.end(), items[j])) ++out.hidden;
    else out.items.push_back(items[j]);
  }
  std::sort(out.items.begin() + begin, out.items.end());
  out.items.erase(std::unique(out.items.begin() + begin, out.items.end()), out.items.end());
  if (static_cast<std::ptrdiff_t>(out.items.size()) == begin) return;
  out.users.push_back(user);
  out.offsets.push_back(out.items.size());
}

void require_some(const Relevant& relevant) {
  if (relevant.users.empty())
    throw std::invalid_argument("test has no relevant item (" + std::to_string(relevant.hidden) +
                                " hidden because train has them), must have at least one value > 0");
}

void require_model(const Recommender& model, std::int64_t users, std::int64_t items) {
  if (model.num_users() < users || model.num_items() != items)
    throw std::invalid_argument("the model has shape " + shape_of(model.num_users(), model.num_items()) +
                                ", must cover the users and have the items of test " + shape_of(users, items));
}

// Lists of one model, asked for block by block and measured. Each is asked for with one place more than is measured, which
// shows whether the cut lies inside a tie; where it does, again with more places until the tie ends.
class ListMeasure {
 public:
  using QueryAt = std::function<Query(std::size_t)>;
  using RelevantAt = std::function<std::span<const std::int32_t>(std::size_t)>;
  ListMeasure(const Recommender& model, const QueryAt& query, const RelevantAt& relevant, int num_threads, EvaluationBuilder& builder)
      : model_(model),
        query_(query),
        relevant_(relevant),
        num_threads_(num_threads),
        builder_(builder),
        num_items_(static_cast<std::size_t>(model.num_items())) {}

  void run(std::size_t n) {
    std::vector<std::size_t> rows;
    std::vector<std::size_t> open;
    const std::size_t shortest = std::min(builder_.max_k() + 1, num_items_);
    const std::size_t block = std::clamp<std::size_t>(kListed / std::max<std::size_t>(shortest, 1), 1, kBlock);
    for (std::size_t begin = 0; begin < n; begin += block) {
      rows.resize(std::min(block, n - begin));
      std::iota(rows.begin(), rows.end(), begin);
      std::size_t k = shortest;
      one_tie_ = 0;
      measure(rows, k, open);
      while (!open.empty()) {
        // Who ties beyond kLongTie mostly ties with everything, and so does whose first list is one tie: one list of all
        // costs less than the steps to it.
        k = one_tie_ > open.size() / 2 || k > std::min(num_items_ / kGrowth, kLongTie) ? num_items_ : k * kGrowth;
        rows.swap(open);
        open.clear();
        one_tie_ = 0;
        const std::size_t at_once = std::max<std::size_t>(kListed / k, 1);
        for (std::size_t first = 0; first < rows.size(); first += at_once)
          measure(std::span(rows).subspan(first, std::min(at_once, rows.size() - first)), k, open);
      }
      open.clear();
    }
  }

 private:
  static constexpr std::size_t kGrowth = 8;
  static constexpr std::size_t kLongTie = 1024;
  static constexpr std::size_t kListed = std::size_t{1} << 22;  // places of lists held at a time: 32 MB

  // Measures the lists of `rows` that k places show whole; the others go to `open`.
  void measure(std::span<const std::size_t> rows, std::size_t k, std::vector<std::size_t>& open) {
    queries_.clear();
    for (const std::size_t row : rows) queries_.push_back(query_(row));
    if (out_.size() < rows.size() * k) out_.resize(rows.size() * k);
    counts_.resize(rows.size());
    model_.recommend_batch(queries_, MatrixView<ItemScore>(out_.data(), rows.size(), k), counts_, num_threads_);
    detail::parallel_for(rows.size(), 64, num_threads_, [&](std::size_t first, std::size_t last, int) {
      std::vector<std::int32_t> items;
      std::vector<float> scores;
      std::vector<TieGroup> groups;
      for (std::size_t j = first; j < last; ++j) {
        if (is_open(j, k)) continue;
        const ItemScore* list = out_.data() + j * k;
        const std::size_t cut = std::min(builder_.max_k(), counts_[j]);
        std::size_t length = cut;
        while (length > 0 && length < counts_[j] && list[length].score == list[cut - 1].score) ++length;
        items.resize(length);
        scores.resize(length);
        for (std::size_t r = 0; r < length; ++r) {
          items[r] = list[r].item;
          scores[r] = list[r].score;
        }
        builder_.measure(rows[j], relevant_(rows[j]), items, scores, groups);
      }
    });
    for (std::size_t j = 0; j < rows.size(); ++j) {
      if (!is_open(j, k)) continue;
      open.push_back(rows[j]);
      one_tie_ += out_[j * k].score == out_[j * k + k - 1].score ? 1 : 0;
    }
  }

  // Whether items behind the last place may tie with the last one that is measured.
  [[nodiscard]] bool is_open(std::size_t j, std::size_t k) const {
    if (k == num_items_ || counts_[j] < k) return false;
    return out_[j * k + k - 1].score == out_[j * k + builder_.max_k() - 1].score;
  }

  const Recommender& model_;
  const QueryAt& query_;
  const RelevantAt& relevant_;
  int num_threads_;
  EvaluationBuilder& builder_;
  std::size_t num_items_;
  std::size_t one_tie_ = 0;  // of the open lists, those whose places all have one score
  std::vector<Query> queries_;
  std::vector<ItemScore> out_;
  std::vector<std::size_t> counts_;
};

void run(const Recommender& model, std::size_t n, const ListMeasure::QueryAt& query, const ListMeasure::RelevantAt& relevant,
         int num_threads, EvaluationBuilder& builder) {
  ListMeasure(model, query, relevant, num_threads, builder).run(n);
}

Evaluation evaluate_with(const Recommender& model, const History& history,
                         const std::function<std::span<const float>(std::int64_t)>& values,
                         const std::function<std::span<const std::int64_t>(std::int64_t)>& times, const CsrView& test,
                         const EvaluationOptions& options) {
  require_model(model, test.rows, test.cols);
  Relevant relevant;
  std::vector<std::int32_t> sorted;
  for (std::int64_t u = 0; u < test.rows; ++u)
    add_relevant(test, static_cast<std::int32_t>(u), options.exclude_seen ? history(u) : std::span<const std::int32_t>{}, relevant,
                 sorted);
  require_some(relevant);
  EvaluationBuilder builder(options, relevant.users.size(), model.num_items());
  const auto query = [&](std::size_t j) {
    Query q;
    q.user = relevant.users[j];
    q.history = history(relevant.users[j]);
    q.history_values = values(relevant.users[j]);
    q.history_times = times(relevant.users[j]);
    q.history_given = true;
    q.exclude_seen = options.exclude_seen;
    q.recalculate_user = options.recalculate_user;
    return q;
  };
  run(model, relevant.users.size(), query, [&](std::size_t j) { return relevant.of(j); }, options.num_threads, builder);
  Array<std::uint8_t> has_history(relevant.users.size());
  for (std::size_t j = 0; j < relevant.users.size(); ++j) has_history.mutable_data()[j] = history(relevant.users[j]).empty() ? 0 : 1;
  return builder.finish(std::move(relevant.users), relevant.hidden, std::move(has_history));
}

void require_same_shape(const CsrView& train, const CsrView& test) {
  if (train.rows != test.rows || train.cols != test.cols)
    throw std::invalid_argument("train has shape " + shape_of(train.rows, train.cols) + " and test " +
                                shape_of(test.rows, test.cols) + ", both must have the same users and items");
}

void require_same_keys(const SharedIdMap& a, const SharedIdMap& b, const char* what) {
  if (a == b || !a || !b) return;
  bool same = a->size() == b->size() && a->kind() == b->kind();
  for (std::int32_t i = 0; same && i < a->size(); ++i)
    same = a->kind() == IdMap::Kind::kInteger ? a->integer_at(i) == b->integer_at(i) : a->string_at(i) == b->string_at(i);
  if (!same)
    throw std::invalid_argument(std::string(what) + " have different keys at the same index, must share one id space "
                                                    "(split one log, or build both from the same id maps)");
}

}  // namespace

Evaluation evaluate(const Recommender& model, const CsrView& train, const CsrView& test, const EvaluationOptions& options) {
  options.validate();
  require_same_shape(train, test);
  validate(train, "train");
  validate(test, "test");
  if (options.check_fit) require_honest(check_fit(model, train, test), model);
  return evaluate_with(
      model, [&](std::int64_t u) { return train.row_columns(u); }, [&](std::int64_t u) { return train.row_values(u); },
      [](std::int64_t) { return std::span<const std::int64_t>{}; }, test, options);
}

Evaluation evaluate(const Recommender& model, const Interactions& train, const Interactions& test, const EvaluationOptions& options) {
  options.validate();
  require_same_shape(train.user_items().view(), test.user_items().view());
  require_same_keys(train.user_ids(), test.user_ids(), "the users of train and test");
  require_same_keys(train.item_ids(), test.item_ids(), "the items of train and test");
  if (model.num_users() == test.num_users()) require_same_keys(model.user_ids(), test.user_ids(), "the users of model and test");
  if (model.num_items() == test.num_items()) require_same_keys(model.item_ids(), test.item_ids(), "the items of model and test");
  return evaluate(model, train.user_items().view(), test.user_items().view(), options);
}

Evaluation evaluate(const Recommender& model, const Sequences& train, const CsrView& test, const EvaluationOptions& options) {
  options.validate();
  validate(test, "test");
  if (train.num_items() > test.cols)
    throw std::invalid_argument("train has " + std::to_string(train.num_items()) + " items and test " + std::to_string(test.cols) +
                                ", both must have the same items");
  std::vector<std::int64_t> sequence(static_cast<std::size_t>(test.rows), -1);
  for (std::int64_t s = 0; s < train.size(); ++s) {
    const std::int32_t u = train.user_of(s);
    if (u >= test.rows) continue;
    if (sequence[static_cast<std::size_t>(u)] >= 0)
      throw std::invalid_argument("train has two sequences of user " + std::to_string(u) + ", must have one a user");
    sequence[static_cast<std::size_t>(u)] = s;
  }
  const auto history = [&](std::int64_t u) {
    const std::int64_t s = sequence[static_cast<std::size_t>(u)];
    return s < 0 ? std::span<const std::int32_t>{} : train.items_of(s);
  };
  if (options.check_fit) require_honest(check_fit(model, train, test), model);
  const auto times = [&](std::int64_t u) {
    const std::int64_t s = sequence[static_cast<std::size_t>(u)];
    return s < 0 ? std::span<const std::int64_t>{} : train.times_of(s);
  };
  return evaluate_with(model, history, [](std::int64_t) { return std::span<const float>{}; }, times, test, options);
}

struct RankingEvaluator::Impl {
  Impl(const CsrView& test, std::span<const std::int32_t> users, const CsrView* train, const EvaluationOptions& o)
      : options(o), num_items(test.cols), num_rows(users.empty() ? static_cast<std::size_t>(test.rows) : users.size()) {
    options.validate();
    validate(test, "test");
    if (train != nullptr) {
      require_same_shape(*train, test);
      validate(*train, "train");
    }
    for (const std::int32_t u : users) detail::require_index(u, test.rows, "users");
    value_of.assign(num_rows, -1);
    std::vector<std::int32_t> sorted;
    for (std::size_t j = 0; j < num_rows; ++j) {
      const std::int32_t u = users.empty() ? static_cast<std::int32_t>(j) : users[j];
      const std::size_t before = relevant.users.size();
      add_relevant(test, u, train != nullptr ? train->row_columns(u) : std::span<const std::int32_t>{}, relevant, sorted);
      if (relevant.users.size() != before) value_of[j] = static_cast<std::int64_t>(before);
    }
    if (train != nullptr) {
      has_history = Array<std::uint8_t>(relevant.users.size());
      for (std::size_t j = 0; j < has_history.size(); ++j) has_history.mutable_data()[j] = train->row_size(relevant.users[j]) == 0 ? 0 : 1;
    }
    require_some(relevant);
    given.assign(num_rows, 0);
    builder.emplace(options, relevant.users.size(), static_cast<std::int32_t>(test.cols));
  }

  void measure(std::size_t row, std::span<const std::int32_t> ranked, std::span<const float> scores, std::vector<std::int32_t>& check,
               std::vector<TieGroup>& groups) {
    if (value_of[row] < 0) return;
    const auto in_row = [&] { return " in row " + std::to_string(row); };
    const auto length = static_cast<std::size_t>(
        std::find_if(ranked.begin(), ranked.end(), [](std::int32_t i) { return i < 0; }) - ranked.begin());
    check.assign(ranked.begin(), ranked.begin() + static_cast<std::ptrdiff_t>(length));
    std::sort(check.begin(), check.end());
    const auto twice = std::adjacent_find(check.begin(), check.end());
    if (twice != check.end())
      throw std::invalid_argument("rankings holds item " + std::to_string(*twice) + " twice" + in_row() + ", must hold each once");
    if (!check.empty() && check.back() >= num_items)
      throw std::invalid_argument("rankings holds item " + std::to_string(check.back()) + in_row() + ", must be in [0, " +
                                  std::to_string(num_items) + ") or -1");
    for (std::size_t r = 0; r < (scores.empty() ? 0 : length); ++r)
      if (std::isnan(scores[r]) || (r > 0 && scores[r] > scores[r - 1]))
        throw std::invalid_argument("scores is NaN or larger than the one before it at place " + std::to_string(r) + in_row() +
                                    ", must not rise along a list");
    const auto j = static_cast<std::size_t>(value_of[row]);
    builder->measure(j, relevant.of(j), ranked, scores, groups);
  }

  EvaluationOptions options;
  std::int64_t num_items;
  std::size_t num_rows;
  Relevant relevant;
  Array<std::uint8_t> has_history;     // of the values; empty without train
  std::vector<std::int64_t> value_of;  // the value of each row; -1 where nothing is relevant
  std::vector<std::uint8_t> given;
  std::optional<EvaluationBuilder> builder;
};

RankingEvaluator::RankingEvaluator(const CsrView& test, std::span<const std::int32_t> users, const CsrView* train,
                                   const EvaluationOptions& options)
    : impl_(std::make_unique<Impl>(test, users, train, options)) {}
RankingEvaluator::~RankingEvaluator() = default;
RankingEvaluator::RankingEvaluator(RankingEvaluator&&) noexcept = default;
RankingEvaluator& RankingEvaluator::operator=(RankingEvaluator&&) noexcept = default;

void RankingEvaluator::add(std::span<const std::int32_t> rows, MatrixView<const std::int32_t> rankings, MatrixView<const float> scores) {
  Impl& m = *impl_;
  if (rankings.rows() != rows.size())
    throw std::invalid_argument("rankings has " + std::to_string(rankings.rows()) + " rows, must have one for each of the " +
                                std::to_string(rows.size()) + " users");
  const bool scored = scores.data() != nullptr;
  if (scored && (scores.rows() != rankings.rows() || scores.cols() != rankings.cols()))
    throw std::invalid_argument("scores has shape (" + std::to_string(scores.rows()) + ", " + std::to_string(scores.cols()) +
                                "), must be that of rankings (" + std::to_string(rankings.rows()) + ", " +
                                std::to_string(rankings.cols()) + ")");
  const std::size_t longest = m.builder->max_k();
  if (rankings.cols() < std::min(longest, static_cast<std::size_t>(m.num_items)))
    throw std::invalid_argument("rankings has " + std::to_string(rankings.cols()) + " columns, must have at least k = " +
                                std::to_string(longest) + " or the whole catalogue");
  for (const std::int32_t row : rows) {
    detail::require_index(row, static_cast<std::int64_t>(m.num_rows), "rows");
    if (std::exchange(m.given[static_cast<std::size_t>(row)], std::uint8_t{1}) != 0)
      throw std::invalid_argument("rows holds " + std::to_string(row) + " again, must hold each row once");
  }
  detail::parallel_for(rows.size(), 64, m.options.num_threads, [&](std::size_t begin, std::size_t end, int) {
    std::vector<std::int32_t> check;
    std::vector<TieGroup> groups;
    for (std::size_t j = begin; j < end; ++j)
      m.measure(static_cast<std::size_t>(rows[j]), rankings.row(j), scored ? scores.row(j) : std::span<const float>{}, check, groups);
  });
}

Evaluation RankingEvaluator::finish() {
  Impl& m = *impl_;
  return m.builder->finish(std::move(m.relevant.users), m.relevant.hidden, std::move(m.has_history));
}

Evaluation evaluate_ranking(MatrixView<const std::int32_t> rankings, const CsrView& test, std::span<const std::int32_t> users,
                            const CsrView* train, const EvaluationOptions& options, MatrixView<const float> scores) {
  RankingEvaluator evaluator(test, users, train, options);
  std::vector<std::int32_t> rows(users.empty() ? static_cast<std::size_t>(test.rows) : users.size());
  std::iota(rows.begin(), rows.end(), 0);
  evaluator.add(rows, rankings, scores);
  return evaluator.finish();
}

Evaluation evaluate_next(const Recommender& model, const Sequences& sequences, const NextItemOptions& options) {
  EvaluationOptions general;
  general.k = options.k;
  general.metrics = options.metrics;
  general.exclude_seen = options.exclude_seen;
  general.num_threads = options.num_threads;
  general.validate();
  if (sequences.num_items() > model.num_items())
    throw std::invalid_argument("sequences has " + std::to_string(sequences.num_items()) + " items, must have at most the " +
                                std::to_string(model.num_items()) + " of the model");
  struct Position {
    std::int64_t sequence;
    std::size_t place;
  };
  std::vector<Position> positions;
  std::vector<std::int32_t> owners;
  for (std::int64_t s = 0; s < sequences.size(); ++s) {
    const std::size_t n = sequences.items_of(s).size();
    if (options.known_users) detail::require_index(sequences.user_of(s), model.num_users(), "user of a sequence");
    for (std::size_t p = options.positions == Positions::kLast ? std::max<std::size_t>(n, 1) - 1 : 1; p < n; ++p) {
      if (p == 0) continue;
      positions.push_back({s, p});
      owners.push_back(static_cast<std::int32_t>(s));
    }
  }
  if (positions.empty()) throw std::invalid_argument("sequences has no list of two items or more, must have one");
  EvaluationBuilder builder(general, positions.size(), model.num_items());
  const auto query = [&](std::size_t j) {
    Query q;
    const auto items = sequences.items_of(positions[j].sequence);
    if (options.known_users) q.user = sequences.user_of(positions[j].sequence);
    q.history_given = true;
    q.session = items.first(positions[j].place);
    q.exclude_last = options.exclude_last;
    q.exclude_seen = options.exclude_seen;
    return q;
  };
  const auto relevant = [&](std::size_t j) {
    return sequences.items_of(positions[j].sequence).subspan(positions[j].place, 1);
  };
  run(model, positions.size(), query, relevant, options.num_threads, builder);
  return builder.finish(std::move(owners), 0);
}

}  // namespace etalage
