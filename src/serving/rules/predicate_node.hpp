// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "etalage/serving/predicate.hpp"

namespace etalage {

/// A node of the tree. Lists are sorted and unique but for a category path; and / or are flat, sorted by their text.
struct Predicate::Node {
  enum class Kind { kEverything, kStock, kPrice, kKnownStock, kKnownPrice, kCategory, kBrand, kTag, kRegion, kAge, kItems, kOffered, kAnd, kOr, kNot };
  Kind kind = Kind::kEverything;
  std::vector<std::string> values = {};
  double min = 0;           ///< price, stock: -infinity without; age
  double max = 0;           ///< +infinity without
  bool above_zero = false;  ///< in_stock: stock > 0 in place of the bounds
  std::vector<Predicate> children = {};
  std::string json = "{}";
  std::string place = {};   ///< of a leaf about stock or price: where; empty: where the request is asked
  std::uint8_t uses = 0;    ///< what a live offer can change here or below: bits of LiveOffers::What
  bool asks = false;        ///< some of that depends on where the request is asked
  bool elsewhere = false;   ///< some of that names a place of its own
};

}  // namespace etalage
