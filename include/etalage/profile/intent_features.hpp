// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "etalage/export.hpp"
#include "etalage/profile/user_profile.hpp"

namespace etalage {

/// What a purchase is predicted from: numbers that a profile says at a moment. The one definition, for training (where
/// profiles are replayed from a log up to each moment) and for serving (where they are kept up to date).
///
/// Of the session: in it or not, events, views, carts, purchases, open carts, duration, pause, distinct products and
/// categories, price level, what the last event was; all 0 once the session is over. Of the shopper: recency, frequency
/// and money, rates over 7, 30 and 120 days, gaps between orders and how much of one has gone by, products due again,
/// share of visits that bought, returns, tenure, habits at this hour and weekday, concentration, price level.
/// All are finite; counts and times enter as ln(1 + x).
class ETALAGE_EXPORT IntentFeatures {
 public:
  /// Names in column order.
  [[nodiscard]] static std::span<const std::string_view> names() noexcept;
  [[nodiscard]] static std::size_t count() noexcept { return names().size(); }
  /// The columns of the recency-frequency-money model: days since the last purchase, orders, money.
  [[nodiscard]] static std::span<const std::int32_t> rfm() noexcept;
  /// Writes all of them; out [count()]. No allocation. std::invalid_argument when out has another size.
  static void compute(const UserProfile& profile, std::int64_t now_ms, const ProfileOptions& options, std::span<float> out);
};

}  // namespace etalage
