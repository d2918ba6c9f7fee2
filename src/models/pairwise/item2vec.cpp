// SPDX-License-Identifier: Apache-2.0
#include "etalage/models/item2vec.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "core/option_check.hpp"
#include "core/option_state.hpp"
#include "detail/check.hpp"
#include "detail/limits.hpp"
#include "detail/finite.hpp"
#include "etalage/extend/state.hpp"
#include "etalage/error.hpp"
#include "kernels/dot_kernels.hpp"
#include "models/neighbour/occurrences.hpp"
#include "models/sequence/sequence_scratch.hpp"
#include "models/pairwise/skip_gram.hpp"
#include "models/sparse_rows.hpp"

namespace etalage {
namespace {

// How often an epoch meets each pair of items, on average.
CsrMatrix neighbors_of(const Sequences& sequences, std::span<const float> counts, const Item2VecOptions& o) {
  const detail::Occurrences occurrences(sequences);
  const auto n = static_cast<std::size_t>(sequences.num_items());
  const auto window = static_cast<std::size_t>(o.window);
  // word2vec's rule: an item with share f of all events stays with probability sqrt(t / f) + t / f.
  std::vector<float> kept(n, 1.0f);
  const auto events = static_cast<float>(sequences.items().size());
  for (std::size_t i = 0; i < n && o.subsample > 0; ++i) {
    const float ratio = o.subsample * events / std::max(1.0f, counts[i]);
    kept[i] = std::min(1.0f, std::sqrt(ratio) + ratio);
  }
  const std::int32_t* items = sequences.items().data();
  return detail::make_rows(n, n, 0, o.num_threads, [&](std::size_t i, detail::SparseScores& row) {
    const auto add = [&](std::int32_t other, std::size_t distance) {
      if (static_cast<std::size_t>(other) == i) return;
      row.add(other, kept[i] * kept[static_cast<std::size_t>(other)] * static_cast<float>(window + 1 - distance) /
                         static_cast<float>(window));
    };
    for (const std::size_t p : occurrences.of(i)) {
      const std::size_t behind = std::min(window, p - occurrences.list_begin(p));
      const std::size_t ahead = std::min(window, occurrences.list_end(p) - 1 - p);
      for (std::size_t d = 1; d <= behind; ++d) add(items[p - d], d);
      for (std::size_t d = 1; d <= ahead; ++d) add(items[p + d], d);
    }
  });
}

}  // namespace

void Item2VecOptions::validate() const {
  require_options(*this);
}

Item2VecModel::Item2VecModel(const Item2VecOptions& options) : options_(options) { options_.validate(); }

FitReport Item2VecModel::fit(const Sequences& sequences, const ProgressCallback& callback) {
  const auto begin = std::chrono::steady_clock::now();
  const auto since = [&] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count(); };
  std::vector<float> counts(static_cast<std::size_t>(sequences.num_items()), 0.0f);
  for (const std::int32_t i : sequences.items()) counts[static_cast<std::size_t>(i)] += 1.0f;
  FitReport report;
  Array<float> vectors;
  if (!counts.empty()) {
    const CsrMatrix neighbors = neighbors_of(sequences, counts, options_);
    report.phase_seconds.emplace_back("pairs", since());
    skip_gram::Trainer trainer(options_, neighbors.view(), counts);
    for (int epoch = 0; epoch < options_.epochs; ++epoch) {
      const double loss = trainer.epoch(epoch);
      if (options_.compute_objective) report.objective.push_back(loss);
      report.iterations = epoch + 1;
      const double now = options_.compute_objective ? loss : std::numeric_limits<double>::quiet_NaN();
      if (callback &&
          !callback({.step = epoch + 1, .total = options_.epochs, .seconds = since(), .objective = now, .phase = "epoch"})) {
        report.stop_reason = FitReport::StopReason::kCancelled;
        break;
      }
    }
    report.phase_seconds.emplace_back("epochs", since() - report.phase_seconds[0].second);
    vectors = trainer.unit_vectors();
  }
  if (!detail::all_finite(vectors.view(), options_.num_threads))
    throw NumericalError("Item2Vec vectors left the finite numbers; lower learning_rate");
  take_sequences(sequences, options_.keep_history);
  item_vectors_ = std::move(vectors);
  report.seconds = since();
  set_report(report);
  return report;
}

std::span<const float> Item2VecModel::vector_of(std::int32_t item) const noexcept {
  const auto factors = static_cast<std::size_t>(options_.factors);
  return item_vectors_.view().subspan(static_cast<std::size_t>(item) * factors, factors);
}

void Item2VecModel::weigh(std::size_t n, std::vector<float>& weights) const {
  const std::size_t size = std::min(n, static_cast<std::size_t>(options_.max_history));
  weights.resize(size);
  float total = 0;
  for (std::size_t p = 0; p < size; ++p) {
    const auto age = static_cast<float>(size - 1 - p);
    weights[p] = options_.query_decay > 0 ? std::exp(-age / options_.query_decay) : 1.0f;
    total += weights[p];
  }
  for (float& w : weights) w /= total;
}

void Item2VecModel::add_products(const float* x, detail::SparseScores& scores) const {
  const auto factors = static_cast<std::size_t>(options_.factors);
  const float* rows[64];
  float products[64];
  const std::int32_t n = num_items();
  for (std::int32_t i = 0; i < n; i += 64) {
    const std::int32_t count = std::min(64, n - i);
    for (std::int32_t c = 0; c < count; ++c) rows[c] = vector_of(i + c).data();
    kernels::dot().dots(x, rows, static_cast<std::size_t>(count), factors, products);
    for (std::int32_t c = 0; c < count; ++c) scores.add(i + c, products[c]);
  }
}

void Item2VecModel::add_scores(const OrderedItems& history, detail::SparseScores& scores, detail::SequenceScratch& scratch) const {
  if (history.items.empty()) return;
  const auto factors = static_cast<std::size_t>(options_.factors);
  weigh(history.items.size(), scratch.weights);
  const auto newest = history.items.last(scratch.weights.size());
  std::vector<float>& x = scratch.similarities;
  x.assign(factors, 0.0f);
  for (std::size_t p = 0; p < newest.size(); ++p) {
    const std::span<const float> v = vector_of(newest[p]);
    for (std::size_t f = 0; f < factors; ++f) x[f] += scratch.weights[p] * v[f];
  }
  add_products(x.data(), scores);
}

void Item2VecModel::add_similar(std::int32_t item, detail::SparseScores& scores, detail::SequenceScratch&) const {
  add_products(vector_of(item).data(), scores);
}

void Item2VecModel::add_parts(const OrderedItems& history, std::int32_t item, std::span<float> parts,
                              detail::SequenceScratch& scratch) const {
  if (history.items.empty()) return;
  weigh(history.items.size(), scratch.weights);
  const std::size_t first = history.items.size() - scratch.weights.size();
  for (std::size_t p = 0; p < scratch.weights.size(); ++p)
    parts[first + p] = scratch.weights[p] * kernels::dot().dot(vector_of(history.items[first + p]).data(), vector_of(item).data(),
                                                               static_cast<std::size_t>(options_.factors));
}

void Item2VecModel::save_state(StateWriter& writer) const {
  SequenceModel::save_state(writer);
  put_options(writer, options_);
  writer.put_array("item_vectors", item_vectors_);
}

std::shared_ptr<Item2VecModel> Item2VecModel::from_state(const StateReader& reader) {
  const auto o = get_options<Item2VecOptions>(reader);
  auto model = std::make_shared<Item2VecModel>(o);
  model->load_sequences(reader);
  const std::size_t size = static_cast<std::size_t>(model->num_items()) * static_cast<std::size_t>(o.factors);
  model->item_vectors_ = reader.get_array<float>("item_vectors", size);
  if (reader.verify() && !detail::all_finite(model->item_vectors_.view(), reader.num_threads()))
    reader.fail("item_vectors", "found a value that is not finite, expected finite ones");
  return model;
}

}  // namespace etalage
