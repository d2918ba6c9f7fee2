// SPDX-License-Identifier: Apache-2.0
#include "serving/rules/live_catalog.hpp"

namespace etalage::serving {

LiveCatalog::LiveCatalog(const LiveOffers& offers, const LiveRows& rows, std::shared_ptr<const RangeColumn> prices)
    : offers_(offers), rows_(rows), base_(std::move(prices)) {
  const std::unique_lock lock(mutex_);
  rebuild();
}

void LiveCatalog::rebuild() const {
  version_.store(offers_.version(), std::memory_order_release);
  own_.reset();
  if (!base_) return;
  const LiveOffers::Reading reading(offers_);
  const auto& prices = offers_.at(0).prices;
  if (prices.empty()) return;
  const auto each = [&](const auto& take) {
    for (const auto& [item, price] : prices)
      if (const std::int32_t row = rows_.row_of(item); row >= 0) take(row, price);
  };
  if (prices.size() > base_->values().size() / 16) {
    std::vector<float> values(base_->values().begin(), base_->values().end());
    each([&](std::int32_t row, float price) { values[static_cast<std::size_t>(row)] = price; });
    own_ = std::make_unique<RangeColumn>(values);
  } else {
    own_ = std::make_unique<RangeColumn>(*base_);
    each([&](std::int32_t row, float price) { own_->set(row, price); });
  }
}

void LiveCatalog::catch_up() const {
  if (!base_ || version_.load(std::memory_order_acquire) == offers_.version()) return;
  const std::unique_lock lock(mutex_);
  changes_.clear();
  std::uint64_t version = version_.load(std::memory_order_relaxed);
  if (!offers_.changes_since(version, changes_)) return rebuild();
  const LiveOffers::Reading reading(offers_);
  const auto& prices = offers_.at(0).prices;
  for (const LiveOffers::Change& c : changes_) {
    if (c.what != LiveOffers::What::kPrice || c.place != 0) continue;
    const std::int32_t row = rows_.row_of(c.item);
    if (row < 0) continue;
    if (!own_) own_ = std::make_unique<RangeColumn>(*base_);
    const auto said = prices.find(c.item);
    own_->set(row, said == prices.end() ? base_->values()[static_cast<std::size_t>(row)] : said->second);
  }
  version_.store(version, std::memory_order_release);
}

bool LiveCatalog::says(LiveOffers::What what) const { return (offers_.kinds() & static_cast<std::uint8_t>(what)) != 0; }

bool LiveCatalog::knows(std::string_view place) const {
  const LiveOffers::Reading reading(offers_);
  return offers_.find_place(place) >= 0;
}

bool LiveCatalog::withholds(std::string_view place) const {
  if (!says(LiveOffers::What::kAvailable)) return false;
  const LiveOffers::Reading reading(offers_);
  const std::int32_t own = offers_.find_place(place);
  return offers_.at(0).off.size() > 0 || (own > 0 && offers_.at(own).off.size() > 0);
}

std::optional<ItemBitmap> LiveCatalog::priced(float min, float max) const {
  if (!base_) return {};
  catch_up();
  const std::shared_lock lock(mutex_);
  return (own_ ? *own_ : *base_).between(min, max);
}

}  // namespace etalage::serving
