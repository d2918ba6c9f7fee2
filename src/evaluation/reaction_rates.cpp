// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>
#include <string>

#include "etalage/evaluation/attribution.hpp"
#include "evaluation/resampling.hpp"

namespace etalage {
namespace {

/// How much wider Student's t is than the normal, squared: few shoppers tell little of how much they differ (Korn, Graubard, 1998).
/// By the expansion of Hill (1970), within .2 % from 9 degrees of freedom.
double widening(double confidence, double freedom) {
  const double z = -evaluation::normal_quantile(0.5 * (1 - confidence));
  const double z2 = z * z;
  const double ratio = 1 + (z2 + 1) / (4 * freedom) + ((5 * z2 + 16) * z2 + 3) / (96 * freedom * freedom);
  return ratio * ratio;
}

}  // namespace

void wilson_interval(double share, double n, double confidence, double& low, double& high) {
  if (!(share >= 0 && share <= 1)) throw std::invalid_argument("share is " + std::to_string(share) + ", must be in [0, 1]");
  if (!(n >= 0)) throw std::invalid_argument("n is " + std::to_string(n) + ", must be at least 0");
  if (!(confidence > 0 && confidence < 1)) throw std::invalid_argument("confidence is " + std::to_string(confidence) + ", must be in (0, 1)");
  low = 0;
  high = 1;
  if (n == 0) return;
  const double z = -evaluation::normal_quantile(0.5 * (1 - confidence));
  const double z2 = z * z / n;
  const double centre = (share + 0.5 * z2) / (1 + z2);
  const double half = z / (1 + z2) * std::sqrt(share * (1 - share) / n + 0.25 * z2 / n);
  // Exactly 0 and 1 where the score test gives them; rounding would leave 1e-17.
  low = share == 0 ? 0 : std::max(0.0, centre - half);
  high = share == 1 ? 1 : std::min(1.0, centre + half);
}

std::vector<ReactionRate> reaction_rates(std::span<const std::int32_t> groups, std::int32_t num_groups, std::span<const std::uint8_t> reacted,
                                         std::span<const std::int32_t> users, double confidence) {
  const std::size_t n = groups.size();
  if (num_groups < 0) throw std::invalid_argument("num_groups is " + std::to_string(num_groups) + ", must be at least 0");
  if (reacted.size() != n) throw std::invalid_argument("reacted has " + std::to_string(reacted.size()) + " rows, must have " + std::to_string(n));
  if (!users.empty() && users.size() != n)
    throw std::invalid_argument("users has " + std::to_string(users.size()) + " rows, must have " + std::to_string(n) + " or none");
  std::vector<ReactionRate> out(static_cast<std::size_t>(num_groups));
  for (std::size_t i = 0; i < n; ++i) {
    if (groups[i] < -1 || groups[i] >= num_groups)
      throw std::invalid_argument("groups[" + std::to_string(i) + "] is " + std::to_string(groups[i]) + ", must be in [-1, " +
                                  std::to_string(num_groups) + ")");
    if (reacted[i] > 1) throw std::invalid_argument("reacted[" + std::to_string(i) + "] is " + std::to_string(reacted[i]) + ", must be 0 or 1");
    if (groups[i] < 0) continue;
    ReactionRate& g = out[static_cast<std::size_t>(groups[i])];
    ++g.shown;
    g.reacted += reacted[i];
  }
  std::vector<double> spread(out.size(), 0.0);  // sum over shoppers of (reacted - rate shown)^2
  if (!users.empty()) {
    // Group, shopper and reaction of a row in one number, so that sorting moves nothing else.
    std::vector<std::uint64_t> rows;
    rows.reserve(n);
    for (std::size_t i = 0; i < n; ++i)
      if (groups[i] >= 0)
        rows.push_back(static_cast<std::uint64_t>(groups[i]) << 33 | std::uint64_t{static_cast<std::uint32_t>(users[i])} << 1 | reacted[i]);
    std::sort(rows.begin(), rows.end());
    constexpr std::uint64_t nobody = std::uint64_t{0xffffffff} << 1;
    for (std::size_t at = 0; at < rows.size();) {
      const std::uint64_t first = rows[at] >> 1;
      const auto group = static_cast<std::size_t>(rows[at] >> 33);
      const bool alone = (rows[at] & nobody) == nobody;
      double shown = 0;
      double count = 0;
      do {
        shown += 1;
        count += static_cast<double>(rows[at] & 1);
        ++at;
      } while (!alone && at < rows.size() && rows[at] >> 1 == first);
      ReactionRate& g = out[group];
      const double off = count - shown * static_cast<double>(g.reacted) / static_cast<double>(g.shown);
      spread[group] += off * off;
      ++g.shoppers;
    }
  }
  for (std::size_t k = 0; k < out.size(); ++k) {
    ReactionRate& g = out[k];
    const auto shown = static_cast<double>(g.shown);
    const double rate = g.shown > 0 ? static_cast<double>(g.reacted) / shown : 0;
    g.effective = shown;
    if (!users.empty() && g.shown > 0) {
      const auto shoppers = static_cast<double>(g.shoppers);
      if (g.reacted == 0 || g.reacted == g.shown || g.shoppers < 2) {
        g.effective = g.shoppers < 2 ? 1 : shoppers;
      } else {
        const double variance = shoppers / (shoppers - 1) * spread[k] / (shown * shown);
        const double independent = rate * (1 - rate) / shown;
        g.effective = std::max(1.0, shown / std::max(1.0, variance / independent) / widening(confidence, shoppers - 1));
      }
    }
    wilson_interval(rate, g.effective, confidence, g.low, g.high);
  }
  return out;
}

}  // namespace etalage
