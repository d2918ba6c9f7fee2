// SPDX-License-Identifier: Apache-2.0
#include "etalage/serving/impression_credit.hpp"

#include <vector>

namespace etalage {

std::map<std::string, int> credited(const Impression::Place& place, const std::map<std::string, double>& apart) {
  std::map<std::string, int> left;
  std::vector<const std::string*> bought;  // and not returned
  for (const Impression::Reaction& r : place.reactions) {
    ++left[r.event];
    if (r.purchase) bought.push_back(&r.event);
    if (!r.returns || bought.empty() || apart.contains(r.event)) continue;
    --left[*bought.back()];
    bought.pop_back();
  }
  return left;
}

}  // namespace etalage
