// SPDX-License-Identifier: Apache-2.0
#include "profile/options_state.hpp"

#include <string>
#include <vector>

namespace etalage::profile {

void put_options(StateWriter& w, const ProfileOptions& o) {
  std::vector<std::string> names;
  std::string roles;
  for (const auto& [name, role] : o.roles) {
    names.push_back(name);
    roles.push_back(static_cast<char>('0' + static_cast<int>(role)));
  }
  w.put_strings("role_names", names);
  w.put_string("roles", roles);
  w.put_int("untyped", static_cast<std::int64_t>(o.untyped));
  w.put_double("half_life_days", o.half_life_days);
  w.put_double("view_weight", o.view_weight);
  w.put_double("cart_weight", o.cart_weight);
  w.put_double("purchase_weight", o.purchase_weight);
  w.put_double("return_weight", o.return_weight);
  w.put_double("idle_minutes", o.idle_minutes);
  w.put_int("utc_offset_minutes", o.utc_offset_minutes);
  w.put_bool("value_is_amount", o.value_is_amount);
  w.put_int("max_categories", o.max_categories);
  w.put_int("max_brands", o.max_brands);
  w.put_int("max_items", o.max_items);
  w.put_double("lapsed_gaps", o.lapsed_gaps);
  w.put_double("at_risk_gaps", o.at_risk_gaps);
  w.put_double("new_days", o.new_days);
  w.put_int("loyal_orders", o.loyal_orders);
  w.put_double("typical_gap_days", o.typical_gap_days);
}

ProfileOptions get_options(const StateReader& r) {
  ProfileOptions o;
  o.roles.clear();
  const std::vector<std::string> names = r.get_strings("role_names");
  const std::string roles = r.get_string("roles");
  if (roles.size() != names.size()) r.fail("roles", "found " + std::to_string(roles.size()) + " roles for " + std::to_string(names.size()) + " names");
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (roles[i] < '0' || roles[i] > '4') r.fail("roles", "found an unknown role");
    o.roles[names[i]] = static_cast<EventRole>(roles[i] - '0');
  }
  o.untyped = static_cast<EventRole>(r.get_int("untyped", 0, 4));
  o.half_life_days = r.get_double("half_life_days");
  o.view_weight = r.get_double("view_weight");
  o.cart_weight = r.get_double("cart_weight");
  o.purchase_weight = r.get_double("purchase_weight");
  o.return_weight = r.get_double("return_weight");
  o.idle_minutes = r.get_double("idle_minutes");
  o.utc_offset_minutes = static_cast<std::int32_t>(r.get_int("utc_offset_minutes", -1440, 1440));
  o.value_is_amount = r.get_bool("value_is_amount");
  o.max_categories = static_cast<std::int32_t>(r.get_int("max_categories", 1, 65536));
  o.max_brands = static_cast<std::int32_t>(r.get_int("max_brands", 1, 65536));
  o.max_items = static_cast<std::int32_t>(r.get_int("max_items", 1, 65536));
  o.lapsed_gaps = r.get_double("lapsed_gaps");
  o.at_risk_gaps = r.get_double("at_risk_gaps");
  o.new_days = r.get_double("new_days");
  o.loyal_orders = static_cast<std::int32_t>(r.get_int("loyal_orders", 1, 2147483647));
  o.typical_gap_days = r.get_double("typical_gap_days");
  o.validate();
  return o;
}

}  // namespace etalage::profile
