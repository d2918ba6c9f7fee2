// SPDX-License-Identifier: Apache-2.0
#include "models/linear/local_gram.hpp"

#include <algorithm>
#include <cmath>

#include "models/neighbour/sparse_product.hpp"

namespace etalage {

CsrMatrix candidate_items(const CsrView& user_items, const CsrView& item_users, std::size_t num_candidates, int num_threads) {
  const auto n = static_cast<std::size_t>(item_users.rows);
  Ratio cosine{std::vector<float>(n, 0.0f), std::vector<float>(n, 0.0f), std::vector<float>(n, 0.0f), std::vector<float>(n, 0.0f)};
  for (std::size_t i = 0; i < n; ++i) {
    double square = 0;
    for (const float v : item_users.row_values(static_cast<std::int64_t>(i))) square += static_cast<double>(v) * static_cast<double>(v);
    cosine.a[i] = cosine.b[i] = static_cast<float>(std::sqrt(square));
  }
  return top_product(item_users, user_items, cosine, num_candidates, num_threads);
}

LocalGram::LocalGram(const CsrView& item_users, std::size_t max_items)
    : item_users_(item_users), place_(static_cast<std::size_t>(item_users.cols), 0),
      gram_(((max_items + 15) / 16 * 16) * ((max_items + 15) / 16 * 16)), gram_data_(gram_.mutable_data()) {}

void LocalGram::build(std::span<const std::int32_t> items) {
  size_ = items.size();
  stride_ = (size_ + 15) / 16 * 16;
  users_.clear();
  std::size_t total = 0;
  for (const std::int32_t i : items) {
    const auto users = item_users_.row_columns(i);
    total += users.size();
    for (const std::int32_t u : users)
      if (place_[static_cast<std::size_t>(u)]++ == 0) users_.push_back(u);
  }
  // Counts become the begin of each user's entries, then their end.
  std::int64_t begin = 0;
  for (const std::int32_t u : users_) {
    std::int64_t& p = place_[static_cast<std::size_t>(u)];
    const std::int64_t count = p;
    p = begin;
    begin += count;
  }
  if (entries_.size() < total) entries_.resize(total);
  for (std::size_t s = 0; s < items.size(); ++s) {
    const auto users = item_users_.row_columns(items[s]);
    const auto values = item_users_.row_values(items[s]);
    for (std::size_t p = 0; p < users.size(); ++p)
      entries_[static_cast<std::size_t>(place_[static_cast<std::size_t>(users[p])]++)] = {static_cast<std::int32_t>(s), values[p]};
  }
  float* g = gram_data_;
  std::fill_n(g, stride_ * stride_, 0.0f);
  begin = 0;
  for (const std::int32_t u : users_) {
    const std::int64_t end = place_[static_cast<std::size_t>(u)];
    place_[static_cast<std::size_t>(u)] = 0;
    const Entry* const last = entries_.data() + end;
    for (const Entry* a = entries_.data() + begin; a != last; ++a) {
      float* row = g + static_cast<std::size_t>(a->item) * stride_;
      for (const Entry* b = a; b != last; ++b) row[b->item] += a->value * b->value;
    }
    begin = end;
  }
}

}  // namespace etalage
