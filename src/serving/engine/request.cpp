// SPDX-License-Identifier: Apache-2.0
#include "etalage/serving/request.hpp"

namespace etalage {

ShownCounter::~ShownCounter() = default;
namespace {

constexpr std::array<std::string_view, kPlacements> kPlacementNames{"home", "product_page", "basket", "category_page", "search", "email"};
constexpr std::array<std::string_view, kStages> kStageNames{"filter", "sources", "rules", "rerank", "fallback"};

}  // namespace

std::string_view placement_name(Placement placement) noexcept { return kPlacementNames[static_cast<std::size_t>(placement)]; }

std::optional<Placement> placement_from_name(std::string_view name) noexcept {
  for (std::size_t i = 0; i < kPlacements; ++i)
    if (kPlacementNames[i] == name) return static_cast<Placement>(i);
  return {};
}

std::string_view stage_name(Stage stage) noexcept { return kStageNames[static_cast<std::size_t>(stage)]; }

StageListener::~StageListener() = default;

}  // namespace etalage
