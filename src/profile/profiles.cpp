// SPDX-License-Identifier: Apache-2.0
#include "etalage/profile/profiles.hpp"

#include <algorithm>
#include <iterator>
#include <limits>
#include <stdexcept>
#include <string>
#include <utility>

#include "detail/check.hpp"
#include "profile/replay.hpp"

namespace etalage {
namespace {

bool begins_with(const IdMap& all, const IdMap& head) {
  if (head.size() > all.size()) return false;
  if (head.size() != 0 && all.kind() != head.kind()) return false;
  for (std::int32_t i = 0; i < head.size(); ++i)
    if (head.kind() == IdMap::Kind::kInteger ? all.integer_at(i) != head.integer_at(i) : all.string_at(i) != head.string_at(i)) return false;
  return true;
}

void take_keys(SharedIdMap& held, const SharedIdMap& given, const char* what) {
  if (!given || held == given) return;
  if (held && !begins_with(*given, *held))
    throw std::invalid_argument(std::string(what) + " of the log do not begin with those that the profiles hold, must do so");
  held = given;
}

}  // namespace

Profiles::Profiles(std::shared_ptr<const ItemFacts> facts, ProfileOptions options)
    : facts_(facts ? std::move(facts) : std::make_shared<const ItemFacts>()), options_(std::move(options)) {
  options_.validate();
}

void Profiles::set_facts(std::shared_ptr<const ItemFacts> facts) {
  if (!facts) facts = std::make_shared<const ItemFacts>();
  if (facts->num_categories() < facts_->num_categories() || facts->num_brands() < facts_->num_brands())
    throw std::invalid_argument("facts has " + std::to_string(facts->num_categories()) + " categories and " + std::to_string(facts->num_brands()) +
                                " brands, must keep the " + std::to_string(facts_->num_categories()) + " and " + std::to_string(facts_->num_brands()) +
                                " that profiles know: make it by updated()");
  facts_ = std::move(facts);
}

void Profiles::set_ids(SharedIdMap user_ids, SharedIdMap item_ids) {
  const auto check = [](const SharedIdMap& ids, std::int32_t count, const char* name, const char* what) {
    if (ids && ids->size() < count)
      throw std::invalid_argument(std::string(name) + " has " + std::to_string(ids->size()) + " keys, must have one for each of the " + std::to_string(count) +
                                  " " + what);
  };
  std::int32_t products = 0;
  for (const UserProfile& user : users_) {
    for (const ItemMemory& m : user.items_) products = std::max(products, m.item + 1);
    for (const std::int32_t item : user.session_items_) products = std::max(products, item + 1);
  }
  check(user_ids, size(), "user_ids", "shoppers");
  check(item_ids, products, "item_ids", "products up to the last that a shopper remembers");
  user_ids_ = std::move(user_ids);
  item_ids_ = std::move(item_ids);
}

void Profiles::add(const EventLog& log, int num_threads) {
  const profile::Replay replay(log, options_, num_threads);
  SharedIdMap users = user_ids_;
  SharedIdMap items = item_ids_;
  take_keys(users, log.columns().user_ids, "user_ids");
  take_keys(items, log.columns().item_ids, "item_ids");
  if (static_cast<std::size_t>(log.num_users()) > users_.size()) users_.resize(static_cast<std::size_t>(log.num_users()));
  struct Purchase {
    std::int32_t item;
    Observed observed;
  };
  constexpr std::size_t grain = 128;
  std::vector<std::vector<Purchase>> purchases(detail::num_chunks(static_cast<std::size_t>(log.num_users()), grain));
  detail::parallel_for(static_cast<std::size_t>(log.num_users()), grain, num_threads, [&](std::size_t first, std::size_t last, int) {
    std::vector<Purchase>& seen = purchases[first / grain];
    for (std::size_t u = first; u < last; ++u)
      for (const std::int64_t row : replay.rows_of(static_cast<std::int32_t>(u))) {
        const ProfileEvent event = replay.event(row);
        const Observed o = users_[u].observe(event, *facts_, options_);
        if (o.item_occasion) seen.push_back({event.item, o});
      }
  });
  for (const auto& chunk : purchases)
    for (const Purchase& p : chunk) repurchases_.add(p.item, p.observed);
  user_ids_ = std::move(users);
  item_ids_ = std::move(items);
}

Observed Profiles::observe(std::int32_t user, const ProfileEvent& event) {
  if (user < 0) detail::require_index(user, size(), "user");
  const auto u = static_cast<std::size_t>(user);
  if (u >= users_.size()) {
    UserProfile fresh;
    const Observed o = fresh.observe(event, *facts_, options_);
    users_.resize(u + 1);
    users_[u] = std::move(fresh);
    repurchases_.add(event.item, o);
    return o;
  }
  const Observed o = users_[u].observe(event, *facts_, options_);
  repurchases_.add(event.item, o);
  return o;
}

void Profiles::observe(std::span<const std::int32_t> users, std::span<const ProfileEvent> events) {
  detail::require(users.size() == events.size(), "users.size()", users.size(), "events.size()");
  for (std::size_t i = 0; i < users.size(); ++i) observe(users[i], events[i]);
}

void Profiles::append(const Profiles& others) {
  if (!(others.options_ == options_)) throw std::invalid_argument("others has other options, must have those of the profiles that it is appended to");
  const auto same = [](const char* what, std::int32_t theirs, std::int32_t ours) {
    if (theirs != ours)
      throw std::invalid_argument("others knows " + std::to_string(theirs) + " " + what + ", must know the " + std::to_string(ours) + " of the profiles that it is appended to");
  };
  same("products", others.facts_->num_items(), facts_->num_items());
  same("categories", others.facts_->num_categories(), facts_->num_categories());
  same("brands", others.facts_->num_brands(), facts_->num_brands());
  const std::size_t all = users_.size() + others.users_.size();
  detail::require(all <= static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max()), "size of both", all, "at most 2^31 - 1 shoppers");
  RepurchaseStatistics sums = repurchases_;
  sums.add(others.repurchases_);
  const bool keyed = users_.empty() || others.users_.empty();
  SharedIdMap users = !keyed ? nullptr : users_.empty() ? others.user_ids_ : user_ids_;
  SharedIdMap items = item_ids_ ? item_ids_ : others.item_ids_;
  std::vector<UserProfile> theirs(others.users_);  // of others that are these, too
  if (all > users_.capacity()) users_.reserve(std::max(all, 2 * users_.capacity()));
  users_.insert(users_.end(), std::make_move_iterator(theirs.begin()), std::make_move_iterator(theirs.end()));
  repurchases_ = std::move(sums);
  user_ids_ = std::move(users);
  item_ids_ = std::move(items);
}

void Profiles::merge(std::int32_t from, std::int32_t to) {
  if (from < 0) detail::require_index(from, size(), "from");
  if (to < 0) detail::require_index(to, size(), "to");
  detail::require(from != to, "to", to, "another user than from");
  if (from >= size()) return;
  if (to >= size()) users_.resize(static_cast<std::size_t>(to) + 1);
  users_[static_cast<std::size_t>(to)].merge(users_[static_cast<std::size_t>(from)], options_);
  users_[static_cast<std::size_t>(from)] = UserProfile();
}

void Profiles::erase(std::int32_t user) {
  if (user < 0) detail::require_index(user, size(), "user");
  if (user < size()) users_[static_cast<std::size_t>(user)] = UserProfile();
}

const UserProfile& Profiles::at(std::int32_t user) const {
  static const UserProfile nobody;
  if (user < 0) detail::require_index(user, size(), "user");
  return user < size() ? users_[static_cast<std::size_t>(user)] : nobody;
}

std::int64_t Profiles::newest_ms() const noexcept {
  std::int64_t newest = UserProfile::kNever;
  for (const UserProfile& p : users_) newest = std::max(newest, p.counts().last_ms);
  return newest;
}

std::vector<BuyAgain> Profiles::buy_again(std::int32_t user, std::int64_t now_ms, std::size_t k, double horizon_days) const {
  return repurchases_.likeliest(at(user), now_ms, k, horizon_days);
}

std::array<std::int64_t, 7> Profiles::segment_sizes(std::int64_t now_ms) const {
  std::array<std::int64_t, 7> out{};
  for (const UserProfile& p : users_) ++out[static_cast<std::size_t>(p.lifecycle(now_ms, options_))];
  return out;
}

}  // namespace etalage
