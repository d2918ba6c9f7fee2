// SPDX-License-Identifier: Apache-2.0
#include "profile/options_state.hpp"

#include <string>
#include <vector>

#include "core/option_state.hpp"

namespace etalage::profile {

void put_profile_options(StateWriter& w, const ProfileOptions& o) {
  std::vector<std::string> names;
  std::string roles;
  for (const auto& [name, role] : o.roles) {
    names.push_back(name);
    roles.push_back(static_cast<char>('0' + static_cast<int>(role)));
  }
  w.put_strings("role_names", names);
  w.put_string("roles", roles);
  put_options(w, o);
}

ProfileOptions get_profile_options(const StateReader& r) {
  auto o = get_options<ProfileOptions>(r);
  o.roles.clear();
  const std::vector<std::string> names = r.get_strings("role_names");
  const std::string roles = r.get_string("roles");
  if (roles.size() != names.size()) r.fail("roles", "found " + std::to_string(roles.size()) + " roles for " + std::to_string(names.size()) + " names");
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (roles[i] < '0' || roles[i] > '4') r.fail("roles", "found an unknown role");
    o.roles[names[i]] = static_cast<EventRole>(roles[i] - '0');
  }
  o.validate();
  return o;
}

}  // namespace etalage::profile
