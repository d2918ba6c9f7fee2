// SPDX-License-Identifier: Apache-2.0
#include "models/blend/members.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "detail/check.hpp"
#include "etalage/models/sequence_model.hpp"

namespace etalage::detail {
namespace {

constexpr std::size_t kMostMembers = 64;

}  // namespace

std::int32_t check_members(std::span<const BlendMember> members, const MemberWords& words) {
  require(!members.empty() && members.size() <= kMostMembers, (std::string("number of ") + words.many).c_str(), members.size(), "in [1, 64]");
  std::int32_t users = 0;
  for (const BlendMember& member : members)
    if (users == 0 && member.model != nullptr) users = member.model->num_users();
  for (std::size_t m = 0; m < members.size(); ++m) {
    const BlendMember& member = members[m];
    const std::string who = std::string(words.one) + " '" + member.name + "'";
    if (member.model == nullptr) throw std::invalid_argument(who + " is null, must be a fitted model");
    if (member.name.empty()) throw std::invalid_argument(std::string("a ") + words.one + "'s name is empty, must not be");
    if (member.model->kind() == words.holder) throw std::invalid_argument(who + " is a " + words.holder + ", must be " + words.instead);
    for (std::size_t before = 0; before < m; ++before)
      if (members[before].name == member.name)
        throw std::invalid_argument("the name '" + member.name + "' is given to two " + words.many + ", must be unique");
    const bool same_users = knows_nobody(*member.model) || member.model->num_users() == users;
    const std::int32_t items = members[0].model->num_items();
    if (!same_users || member.model->num_items() != items)
      throw std::invalid_argument(who + " knows " + std::to_string(member.model->num_users()) + " users and " +
                                  std::to_string(member.model->num_items()) + " items, must know as many as the first: " +
                                  std::to_string(users) + " and " + std::to_string(items));
  }
  return users;
}

std::optional<PairHash> fitted_on_of(std::span<const BlendMember> members) {
  std::optional<PairHash> fitted_on;
  bool any = false;
  for (const BlendMember& member : members) {
    if (knows_nobody(*member.model)) continue;  // nothing of it was fitted on anybody
    if (!any) fitted_on = member.model->fitted_on();
    else if (member.model->fitted_on() != fitted_on) fitted_on.reset();
    any = true;
  }
  return fitted_on;
}

std::optional<std::int64_t> newest_of(std::span<const BlendMember> members) {
  std::optional<std::int64_t> found;
  for (const BlendMember& member : members)
    if (const auto& newest = member.model->newest_ms()) found = std::max(found.value_or(*newest), *newest);
  return found;
}

void put_members(StateWriter& writer, std::span<const BlendMember> members, const MemberWords& words) {
  writer.put_int(words.many, static_cast<std::int64_t>(members.size()));
  for (std::size_t m = 0; m < members.size(); ++m) {
    const std::string prefix = std::string(words.many) + "/" + std::to_string(m) + "/";
    const Recommender& model = *members[m].model;
    writer.put_string(prefix + "name", members[m].name);
    writer.require_model(model.kind());
    writer.put_string(prefix + "kind", model.kind());
    ScopedWriter inner(writer, prefix + "model/");
    model.save_state(inner);
  }
}

std::vector<BlendMember> get_members(const StateReader& reader, const MemberWords& words) {
  std::vector<BlendMember> members;
  const auto count = static_cast<std::size_t>(reader.get_int(words.many, 1, kMostMembers));
  for (std::size_t m = 0; m < count; ++m) {
    const std::string prefix = std::string(words.many) + "/" + std::to_string(m) + "/";
    const std::string kind = reader.get_string(prefix + "kind");
    if (kind == words.holder) reader.fail(prefix + "kind", std::string("found a ") + words.holder + " inside a " + words.holder);
    auto model = std::dynamic_pointer_cast<const Recommender>(reader.make_model(kind, ScopedReader(reader, prefix + "model/")));
    if (!model) reader.fail(prefix + "kind", "the factory of the model kind '" + kind + "' made none");
    members.push_back({reader.get_string(prefix + "name"), std::move(model)});
  }
  return members;
}

bool all_cold(std::span<const BlendMember> members, const MemberQuery& asked) noexcept {
  return std::all_of(members.begin(), members.end(), [&](const BlendMember& m) { return m.model->is_cold(asked.of(*m.model)); });
}

ExcludeLast members_exclude_last(std::span<const BlendMember> members, std::span<const float> weights) noexcept {
  bool any = false;
  bool always = true;
  for (std::size_t m = 0; m < members.size(); ++m) {
    if (!weights.empty() && !(weights[m] > 0)) continue;
    const auto* model = dynamic_cast<const SequenceModel*>(members[m].model.get());
    if (model == nullptr) continue;
    if (model->exclude_last() == ExcludeLast::kNo) return ExcludeLast::kNo;
    always = always && model->exclude_last() == ExcludeLast::kYes;
    any = true;
  }
  return !any ? ExcludeLast::kNo : always ? ExcludeLast::kYes : ExcludeLast::kSession;
}

}  // namespace etalage::detail
