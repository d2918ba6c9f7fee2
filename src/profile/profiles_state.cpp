// SPDX-License-Identifier: Apache-2.0
// Profiles as columns: what has a fixed size a shopper in two matrices, lists behind offsets.
#include <cmath>
#include <cstring>
#include <string>

#include "etalage/profile/profiles.hpp"
#include "profile/options_state.hpp"

namespace etalage {
namespace {

using Counts = UserProfile::Counts;
using Sums = UserProfile::Sums;
static_assert(sizeof(Counts) % sizeof(std::int64_t) == 0 && sizeof(Sums) % sizeof(double) == 0);
constexpr std::size_t kCounts = sizeof(Counts) / sizeof(std::int64_t);
constexpr std::size_t kSums = sizeof(Sums) / sizeof(double);

/// Lists, one a shopper: offsets [n + 1] and what `put` appends.
template <class Users, class SizeOf>
Array<std::int64_t> offsets_of(const Users& users, SizeOf size_of) {
  Array<std::int64_t> out(users.size() + 1);
  std::int64_t* to = out.mutable_data();
  for (std::size_t u = 0; u < users.size(); ++u) to[u + 1] = to[u] + static_cast<std::int64_t>(size_of(users[u]));
  return out;
}

Array<std::int64_t> read_offsets(const StateReader& reader, const std::string& name, std::size_t users, std::size_t entries) {
  const Array<std::int64_t> out = reader.get_array<std::int64_t>(name, users + 1);
  bool good = out[0] == 0 && out.back() == static_cast<std::int64_t>(entries);
  for (std::size_t u = 0; u < users && good; ++u) good = out[u] <= out[u + 1];
  if (!good) reader.fail(name, "found offsets that do not rise from 0 to " + std::to_string(entries));
  return out;
}

}  // namespace

void Profiles::save_state(StateWriter& writer) const {
  const std::size_t n = users_.size();
  writer.put_int("users", static_cast<std::int64_t>(n));
  ScopedWriter options(writer, "options/");
  profile::put_profile_options(options, options_);
  ScopedWriter facts(writer, "facts/");
  facts_->save_state(facts);
  ScopedWriter repurchases(writer, "repurchases/");
  repurchases_.save_state(repurchases);
  writer.put_bool("has_user_ids", user_ids_ != nullptr);
  writer.put_bool("has_item_ids", item_ids_ != nullptr);
  if (user_ids_) writer.put_id_map("user_ids", *user_ids_);
  if (item_ids_) writer.put_id_map("item_ids", *item_ids_);

  Array<std::int64_t> counts(n * kCounts, uninitialized);
  Array<double> sums(n * kSums, uninitialized);
  for (std::size_t u = 0; u < n; ++u) {
    std::memcpy(counts.mutable_data() + u * kCounts, &users_[u].counts_, sizeof(Counts));
    std::memcpy(sums.mutable_data() + u * kSums, &users_[u].sums_, sizeof(Sums));
  }
  writer.put_array("counts", counts);
  writer.put_array("sums", sums);

  const auto put_affinities = [&](const std::string& name, std::vector<Affinity> UserProfile::* list) {
    std::vector<std::int32_t> ids;
    std::vector<double> weights;
    for (const UserProfile& p : users_)
      for (const Affinity& a : p.*list) {
        ids.push_back(a.id);
        weights.push_back(a.weight);
      }
    writer.put_array(name + "/offsets", offsets_of(users_, [&](const UserProfile& p) { return (p.*list).size(); }));
    writer.put_array(name + "/ids", Array<std::int32_t>(ids));
    writer.put_array(name + "/weights", Array<double>(weights));
  };
  put_affinities("categories", &UserProfile::categories_);
  put_affinities("brands", &UserProfile::brands_);

  const auto put_list = [&](const std::string& name, std::vector<std::int32_t> UserProfile::* list) {
    std::vector<std::int32_t> ids;
    for (const UserProfile& p : users_) ids.insert(ids.end(), (p.*list).begin(), (p.*list).end());
    writer.put_array(name + "/offsets", offsets_of(users_, [&](const UserProfile& p) { return (p.*list).size(); }));
    writer.put_array(name + "/ids", Array<std::int32_t>(ids));
  };
  put_list("session_items", &UserProfile::session_items_);
  put_list("session_categories", &UserProfile::session_categories_);

  std::vector<std::int32_t> items;
  std::vector<std::int32_t> times;
  std::vector<std::int64_t> last;
  std::vector<double> gaps;
  for (const UserProfile& p : users_)
    for (const ItemMemory& m : p.items_) {
      items.push_back(m.item);
      times.push_back(m.count);
      last.push_back(m.last_ms);
      gaps.push_back(m.sum_log_gap);
      gaps.push_back(m.sum_log_gap2);
    }
  writer.put_array("bought/offsets", offsets_of(users_, [](const UserProfile& p) { return p.items_.size(); }));
  writer.put_array("bought/items", Array<std::int32_t>(items));
  writer.put_array("bought/counts", Array<std::int32_t>(times));
  writer.put_array("bought/last_ms", Array<std::int64_t>(last));
  writer.put_array("bought/log_gaps", Array<double>(gaps));
}

std::shared_ptr<Profiles> Profiles::from_state(const StateReader& reader) {
  const auto n = static_cast<std::size_t>(reader.get_int("users", 0, 2147483647));
  auto out = std::make_shared<Profiles>(std::make_shared<const ItemFacts>(ItemFacts::from_state(ScopedReader(reader, "facts/"))),
                                        profile::get_profile_options(ScopedReader(reader, "options/")));
  out->repurchases_ = RepurchaseStatistics::from_state(ScopedReader(reader, "repurchases/"));
  if (reader.get_bool("has_user_ids")) out->user_ids_ = std::make_shared<const IdMap>(reader.get_id_map("user_ids"));
  if (reader.get_bool("has_item_ids")) out->item_ids_ = std::make_shared<const IdMap>(reader.get_id_map("item_ids"));
  // The sizes below are those of sections of the file, so `users` is one that the file can hold.
  const Array<std::int64_t> counts = reader.get_array<std::int64_t>("counts", n * kCounts);
  const Array<double> sums = reader.get_array<double>("sums", n * kSums);
  for (const double x : sums)
    if (!std::isfinite(x)) reader.fail("sums", "found a number that is not finite");
  out->users_.resize(n);
  std::vector<UserProfile>& users = out->users_;
  for (std::size_t u = 0; u < n; ++u) {
    std::memcpy(static_cast<void*>(&users[u].counts_), counts.data() + u * kCounts, sizeof(Counts));
    std::memcpy(static_cast<void*>(&users[u].sums_), sums.data() + u * kSums, sizeof(Sums));
    const Counts& c = users[u].counts_;
    if (c.events < 0 || c.order_gaps < 0 || c.last_role < 0 || c.last_role > 4 || (c.events > 0) != (c.last_ms != UserProfile::kNever))
      reader.fail("counts", "found counts of user " + std::to_string(u) + " that no events make");
  }

  const auto get_affinities = [&](const std::string& name, std::vector<Affinity> UserProfile::* list, std::int32_t size) {
    const Array<std::int32_t> ids = reader.get_array<std::int32_t>(name + "/ids");
    const Array<double> weights = reader.get_array<double>(name + "/weights", ids.size());
    const Array<std::int64_t> offsets = read_offsets(reader, name + "/offsets", n, ids.size());
    for (std::size_t i = 0; i < ids.size(); ++i) {
      if (ids[i] < 0 || ids[i] >= size) reader.fail(name + "/ids", "found " + std::to_string(ids[i]) + ", expected a number below " + std::to_string(size));
      if (!std::isfinite(weights[i]) || weights[i] < 0) reader.fail(name + "/weights", "found a weight that is not a finite number >= 0");
    }
    for (std::size_t u = 0; u < n; ++u)
      for (auto i = static_cast<std::size_t>(offsets[u]); i < static_cast<std::size_t>(offsets[u + 1]); ++i)
        (users[u].*list).push_back({ids[i], weights[i]});
  };
  get_affinities("categories", &UserProfile::categories_, out->facts_->num_categories());
  get_affinities("brands", &UserProfile::brands_, out->facts_->num_brands());

  const auto get_list = [&](const std::string& name, std::vector<std::int32_t> UserProfile::* list) {
    const Array<std::int32_t> ids = reader.get_array<std::int32_t>(name + "/ids");
    const Array<std::int64_t> offsets = read_offsets(reader, name + "/offsets", n, ids.size());
    for (const std::int32_t id : ids)
      if (id < 0) reader.fail(name + "/ids", "found " + std::to_string(id) + ", expected a number >= 0");
    for (std::size_t u = 0; u < n; ++u)
      (users[u].*list).assign(ids.begin() + offsets[u], ids.begin() + offsets[u + 1]);
  };
  get_list("session_items", &UserProfile::session_items_);
  get_list("session_categories", &UserProfile::session_categories_);

  const Array<std::int32_t> items = reader.get_array<std::int32_t>("bought/items");
  const Array<std::int32_t> times = reader.get_array<std::int32_t>("bought/counts", items.size());
  const Array<std::int64_t> last = reader.get_array<std::int64_t>("bought/last_ms", items.size());
  const Array<double> gaps = reader.get_array<double>("bought/log_gaps", 2 * items.size());
  const Array<std::int64_t> offsets = read_offsets(reader, "bought/offsets", n, items.size());
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (items[i] < 0 || times[i] < 1) reader.fail("bought/items", "found a product below 0 or bought less than once");
    // Not by its absolute value: the smallest integer has none.
    constexpr std::int64_t kFarthest = std::int64_t{1} << 60;
    if (last[i] < -kFarthest || last[i] > kFarthest) reader.fail("bought/last_ms", "found a time beyond all calendars");
    if (!std::isfinite(gaps[2 * i]) || !std::isfinite(gaps[2 * i + 1])) reader.fail("bought/log_gaps", "found a gap that is not finite");
  }
  for (std::size_t u = 0; u < n; ++u)
    for (auto i = static_cast<std::size_t>(offsets[u]); i < static_cast<std::size_t>(offsets[u + 1]); ++i)
      users[u].items_.push_back({items[i], times[i], last[i], gaps[2 * i], gaps[2 * i + 1]});
  return out;
}

}  // namespace etalage
