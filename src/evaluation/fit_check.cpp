// SPDX-License-Identifier: Apache-2.0
#include "etalage/evaluation/fit_check.hpp"

#include <algorithm>
#include <functional>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace etalage {
namespace {

using Row = std::function<std::span<const std::int32_t>(std::int64_t)>;

void sorted_into(std::span<const std::int32_t> items, std::vector<std::int32_t>& out) {
  out.assign(items.begin(), items.end());
  if (!std::is_sorted(out.begin(), out.end())) std::sort(out.begin(), out.end());
}

FitCheck check(const Recommender& model, const Row& train, const PairHash& train_hash, const CsrView& test) {
  FitCheck out;
  out.known = model.fitted_on().has_value();
  out.is_train = out.known && *model.fitted_on() == train_hash;
  if (out.is_train) return out;
  PairHash with_test = train_hash;
  std::vector<std::int32_t> seen;
  std::vector<std::int32_t> fitted;
  std::int64_t found = 0;
  for (std::int64_t u = 0; u < test.rows; ++u) {
    const auto items = test.row_columns(u);
    if (items.empty()) continue;
    sorted_into(train(u), seen);
    const bool kept = model.has_history();
    if (kept) sorted_into(model.kept_items(static_cast<std::int32_t>(u)), fitted);
    std::optional<std::int32_t> before;
    for (std::size_t p = 0; p < items.size(); ++p) {
      if (!(test.row_values(u)[p] > 0) || before == items[p] || std::binary_search(seen.begin(), seen.end(), items[p])) continue;
      before = items[p];
      with_test.add(static_cast<std::int32_t>(u), items[p]);
      ++found;
      if (kept && std::binary_search(fitted.begin(), fitted.end(), items[p])) ++out.leaked;
    }
  }
  if (!model.has_history() && out.known && found > 0 && *model.fitted_on() == with_test) out.leaked = found;
  return out;
}

}  // namespace

FitCheck check_fit(const Recommender& model, const CsrView& train, const CsrView& test) {
  return check(model, [&](std::int64_t u) { return u < train.rows ? train.row_columns(u) : std::span<const std::int32_t>{}; },
               pair_hash(train), test);
}

FitCheck check_fit(const Recommender& model, const Sequences& train, const CsrView& test) {
  std::vector<std::vector<std::int64_t>> lists(static_cast<std::size_t>(test.rows));
  for (std::int64_t s = 0; s < train.size(); ++s)
    if (train.user_of(s) < test.rows) lists[static_cast<std::size_t>(train.user_of(s))].push_back(s);
  std::vector<std::int32_t> joined;
  return check(model,
               [&](std::int64_t u) {
                 joined.clear();
                 for (const std::int64_t s : lists[static_cast<std::size_t>(u)])
                   joined.insert(joined.end(), train.items_of(s).begin(), train.items_of(s).end());
                 return std::span<const std::int32_t>(joined);
               },
               pair_hash(train), test);
}

void require_honest(const FitCheck& check, const Recommender& model) {
  if (check.honest()) return;
  throw std::invalid_argument("the model (" + std::string(model.kind()) + ") was fitted on " + std::to_string(check.leaked) +
                              " of the pairs that test asks for, must be fitted on train alone");
}

}  // namespace etalage
