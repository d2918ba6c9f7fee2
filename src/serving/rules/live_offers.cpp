// SPDX-License-Identifier: Apache-2.0
#include "serving/rules/live_offers.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <mutex>

namespace etalage::serving {
namespace {

constexpr std::uint32_t kItemsARecord = 8192;

enum class Form : std::uint8_t { kOn = 1, kOff = 2, kPrices = 3, kAttributes = 4 };

void write_head(ByteWriter& w, LiveOffers::What what, KeyView item, std::string_view place) {
  w.put(LogKind::kOffer);
  w.put(what);
  w.put_key(item);
  w.put_text(place);
}

std::vector<std::string> read_values(ByteReader& r) {
  std::vector<std::string> values;
  const auto n = r.get_count(4);
  for (std::uint32_t i = 0; i < n; ++i) values.emplace_back(r.get_text());
  return values;
}

float checked_price(float price) {
  if (!(std::isfinite(price) && price >= 0)) ByteReader::fail("found a price of " + std::to_string(price) + ", expected one that is finite and >= 0");
  return price;
}

}  // namespace

const std::vector<std::string>* LiveOffers::Place::values(std::int32_t item, std::string_view attribute) const {
  if (attributes.empty()) return nullptr;
  const auto found = attributes.find(item);
  if (found == attributes.end()) return nullptr;
  for (const auto& [name, said] : found->second)
    if (name == attribute) return &said;
  return nullptr;
}

LiveOffers::LiveOffers() : changes_(kKept) {
  places_.push_back(std::make_unique<Place>());
  by_name_.emplace(places_[0]->name, 0);
}

std::int32_t LiveOffers::find_place(std::string_view name) const noexcept {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? -1 : found->second;
}

std::int32_t LiveOffers::place_of(std::string_view name) {
  if (const std::int32_t known = find_place(name); known >= 0) return known;
  auto place = std::make_unique<Place>();
  place->name = std::string(name);
  const auto index = static_cast<std::int32_t>(places_.size());
  places_.push_back(std::move(place));
  by_name_.emplace(places_.back()->name, index);
  return index;
}

void LiveOffers::note(std::int32_t item, std::int32_t place, What what) {
  const std::uint64_t version = version_.load(std::memory_order_relaxed);
  changes_[version % kKept] = {item, place, what};
  kinds_.fetch_or(static_cast<std::uint8_t>(what), std::memory_order_release);
  version_.store(version + 1, std::memory_order_release);
}

std::uint64_t LiveOffers::set_available(std::int32_t item, std::string_view place, std::optional<bool> available, const Number& number) {
  const std::lock_guard order(writing_);
  const std::uint64_t sequence = number();
  const std::unique_lock lock(mutex_);
  const std::int32_t at = place_of(place);
  Place& p = *places_[static_cast<std::size_t>(at)];
  if (available == true) p.on.insert(item);
  else p.on.erase(item);
  if (available == false) p.off.insert(item);
  else p.off.erase(item);
  note(item, at, What::kAvailable);
  return sequence;
}

std::uint64_t LiveOffers::set_price(std::int32_t item, std::string_view place, std::optional<float> price, const Number& number) {
  const std::lock_guard order(writing_);
  const std::uint64_t sequence = number();
  const std::unique_lock lock(mutex_);
  const std::int32_t at = place_of(place);
  auto& prices = places_[static_cast<std::size_t>(at)]->prices;
  if (price) prices[item] = *price;
  else prices.erase(item);
  note(item, at, What::kPrice);
  return sequence;
}

std::uint64_t LiveOffers::set_attribute(std::int32_t item, std::string_view place, std::string_view name,
                                        std::optional<std::vector<std::string>> values, const Number& number) {
  const std::lock_guard order(writing_);
  const std::uint64_t sequence = number();
  const std::unique_lock lock(mutex_);
  const std::int32_t at = place_of(place);
  auto& all = places_[static_cast<std::size_t>(at)]->attributes;
  Attributes& said = all[item];
  std::erase_if(said, [&](const auto& a) { return a.first == name; });
  if (values) said.emplace_back(std::string(name), std::move(*values));
  if (said.empty()) all.erase(item);
  note(item, at, What::kAttribute);
  return sequence;
}

bool LiveOffers::changes_since(std::uint64_t& version, std::vector<Change>& out) const {
  const std::shared_lock lock(mutex_);
  const std::uint64_t now = version_.load(std::memory_order_relaxed);
  const std::uint64_t from = std::exchange(version, now);
  if (now - from > kKept) return false;
  for (std::uint64_t v = from; v < now; ++v) out.push_back(changes_[v % kKept]);
  return true;
}

LiveOffers::Said LiveOffers::said(std::int32_t item, std::string_view place) const {
  Said out;
  if (item < 0) return out;
  const std::shared_lock lock(mutex_);
  const std::int32_t own = find_place(place);
  for (const std::int32_t p : {own, 0}) {
    if (p < 0) continue;
    if (!out.available) out.available = at(p).available(item);
    if (out.price) continue;
    if (const auto found = at(p).prices.find(item); found != at(p).prices.end()) out.price = found->second;
  }
  return out;
}

std::size_t LiveOffers::availability_bytes() const {
  const std::shared_lock lock(mutex_);
  std::size_t sum = 0;
  for (const auto& p : places_) sum += p->on.bytes() + p->off.bytes();
  return sum;
}

void LiveOffers::write_available(ByteWriter& w, KeyView item, std::string_view place, std::optional<bool> available) {
  write_head(w, What::kAvailable, item, place);
  w.put(static_cast<std::uint8_t>(available ? (*available ? 1 : 0) : 2));
}

void LiveOffers::write_price(ByteWriter& w, KeyView item, std::string_view place, std::optional<float> price) {
  write_head(w, What::kPrice, item, place);
  w.put(static_cast<std::uint8_t>(price ? 1 : 2));
  w.put(price.value_or(0.0f));
}

void LiveOffers::write_attribute(ByteWriter& w, KeyView item, std::string_view place, std::string_view name,
                                 const std::optional<std::vector<std::string>>& values) {
  write_head(w, What::kAttribute, item, place);
  w.put_text(name);
  w.put(static_cast<std::uint8_t>(values ? 1 : 2));
  if (!values) return;
  w.put(static_cast<std::uint32_t>(values->size()));
  for (const std::string& v : *values) w.put_text(v);
}

void LiveOffers::replay(ByteReader& r, const std::function<std::int32_t(KeyView)>& intern, const Number& number) {
  const auto what = r.get<std::uint8_t>();
  const std::int32_t item = intern(r.get_key());
  const std::string_view place = r.get_text();
  switch (static_cast<What>(what)) {
    case What::kAvailable: {
      const auto said = r.get<std::uint8_t>();
      if (said > 2) ByteReader::fail("found availability " + std::to_string(said) + ", expected 0 to 2");
      set_available(item, place, said == 2 ? std::nullopt : std::optional<bool>(said == 1), number);
      break;
    }
    case What::kPrice: {
      const auto said = r.get<std::uint8_t>();
      const float price = checked_price(r.get<float>());
      set_price(item, place, said == 1 ? std::optional<float>(price) : std::nullopt, number);
      break;
    }
    case What::kAttribute: {
      const std::string_view name = r.get_text();
      std::optional<std::vector<std::string>> values;
      if (r.get<std::uint8_t>() == 1) values = read_values(r);
      set_attribute(item, place, name, std::move(values), number);
      break;
    }
    default: ByteReader::fail("found an offer of kind " + std::to_string(what) + ", expected 1, 2 or 4; upgrade etalage to read it");
  }
}

void LiveOffers::save(const std::function<std::int32_t(std::int32_t)>& number_of, const std::function<void(std::span<const std::byte>)>& put) const {
  const std::shared_lock lock(mutex_);
  ByteWriter head, body;
  std::uint32_t count = 0;
  const auto flush = [&](const Place& place, Form form) {
    if (count == 0) return;
    head.clear();
    head.put(StateKind::kOffers);
    head.put(form);
    head.put_text(place.name);
    head.put(count);
    head.put_bytes(body.bytes());
    put(head.bytes());
    body.clear();
    count = 0;
  };
  for (const auto& p : places_) {
    const auto entry = [&](std::int32_t item, Form form, const auto& write) {
      const std::int32_t number = number_of(item);
      if (number < 0) return;
      body.put(number);
      write();
      if (++count == kItemsARecord) flush(*p, form);
    };
    for (const Form form : {Form::kOn, Form::kOff}) {
      (form == Form::kOn ? p->on : p->off).for_each([&](std::int32_t item) { entry(item, form, [] {}); });
      flush(*p, form);
    }
    for (const auto& [item, price] : p->prices) {
      const float value = price;
      entry(item, Form::kPrices, [&] { body.put(value); });
    }
    flush(*p, Form::kPrices);
    for (const auto& [item, attributes] : p->attributes) {
      for (const auto& a : attributes)
        entry(item, Form::kAttributes, [&] {
          body.put_text(a.first);
          body.put(static_cast<std::uint32_t>(a.second.size()));
          for (const std::string& v : a.second) body.put_text(v);
        });
    }
    flush(*p, Form::kAttributes);
  }
}

void LiveOffers::load(ByteReader& r, const std::function<std::int32_t(std::int32_t)>& checked_item) {
  const auto form = r.get<std::uint8_t>();
  const std::string_view place = r.get_text();
  const auto n = r.get_count(4);
  const Number none = [] { return std::uint64_t{0}; };
  for (std::uint32_t i = 0; i < n; ++i) {
    const std::int32_t item = checked_item(r.get<std::int32_t>());
    switch (static_cast<Form>(form)) {
      case Form::kOn: set_available(item, place, true, none); break;
      case Form::kOff: set_available(item, place, false, none); break;
      case Form::kPrices: set_price(item, place, checked_price(r.get<float>()), none); break;
      case Form::kAttributes: {
        const std::string_view name = r.get_text();
        set_attribute(item, place, name, read_values(r), none);
        break;
      }
      default: ByteReader::fail("found offers of form " + std::to_string(form) + ", expected 1 to 4; upgrade etalage to read it");
    }
  }
}

}  // namespace etalage::serving
