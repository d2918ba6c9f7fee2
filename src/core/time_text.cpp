// SPDX-License-Identifier: Apache-2.0
#include "core/time_text.hpp"

#include <charconv>
#include <cmath>

namespace etalage::detail {
namespace {

/// Days since 1970-01-01 of a proleptic Gregorian date (Hinnant, chrono-compatible low-level date algorithms).
constexpr std::int64_t days_from_civil(std::int64_t y, int m, int d) noexcept {
  y -= m <= 2;
  const std::int64_t era = (y >= 0 ? y : y - 399) / 400;
  const std::int64_t yoe = y - era * 400;
  const std::int64_t doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
  const std::int64_t doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
  return era * 146097 + doe - 719468;
}

constexpr int days_in_month(int y, int m) noexcept {
  constexpr int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  return m == 2 && y % 4 == 0 && (y % 100 != 0 || y % 400 == 0) ? 29 : days[m - 1];
}

/// Reads exactly n digits; -1 otherwise.
int digits(const char* p, int n) noexcept {
  int v = 0;
  for (int i = 0; i < n; ++i) {
    const unsigned d = static_cast<unsigned char>(p[i]) - static_cast<unsigned>('0');
    if (d > 9) return -1;
    v = v * 10 + static_cast<int>(d);
  }
  return v;
}

std::optional<std::int64_t> in_range(std::int64_t ms) noexcept {
  if (ms < kMinTimeMs || ms > kMaxTimeMs) return std::nullopt;
  return ms;
}

/// Offset in minutes of "Z", "+hh", "+hhmm" or "+hh:mm".
std::optional<int> parse_zone(std::string_view z) noexcept {
  if (z == "Z" || z == "z") return 0;
  if (z.size() != 3 && z.size() != 5 && z.size() != 6) return std::nullopt;
  if (z[0] != '+' && z[0] != '-') return std::nullopt;
  const int h = digits(z.data() + 1, 2);
  int m = 0;
  if (z.size() == 5) m = digits(z.data() + 3, 2);
  if (z.size() == 6) m = z[3] == ':' ? digits(z.data() + 4, 2) : -1;
  if (h < 0 || h > 23 || m < 0 || m > 59) return std::nullopt;
  return (z[0] == '-' ? -1 : 1) * (h * 60 + m);
}

}  // namespace

std::string_view trimmed(std::string_view s) noexcept {
  while (!s.empty() && (s.front() == ' ' || s.front() == '\t')) s.remove_prefix(1);
  while (!s.empty() && (s.back() == ' ' || s.back() == '\t')) s.remove_suffix(1);
  return s;
}

std::optional<std::int64_t> parse_iso_time(std::string_view s) noexcept {
  s = trimmed(s);
  if (s.size() < 10) return std::nullopt;
  const char* p = s.data();
  const int y = digits(p, 4);
  const int mo = digits(p + 5, 2);
  const int d = digits(p + 8, 2);
  if (y < 1 || mo < 1 || mo > 12 || d < 1 || (p[4] != '-' && p[4] != '/') || p[7] != p[4] || d > days_in_month(y, mo))
    return std::nullopt;
  std::int64_t ms = days_from_civil(y, mo, d) * 86400000;
  if (s.size() == 10) return in_range(ms);
  if (s.size() < 16 || (p[10] != 'T' && p[10] != 't' && p[10] != ' ') || p[13] != ':') return std::nullopt;
  const int h = digits(p + 11, 2);
  const int mi = digits(p + 14, 2);
  if (h < 0 || h > 23 || mi < 0 || mi > 59) return std::nullopt;
  ms += (h * 60 + mi) * 60000;
  std::size_t at = 16;
  if (at < s.size() && p[at] == ':') {
    const int sec = s.size() >= 19 ? digits(p + 17, 2) : -1;
    if (sec < 0 || sec > 60) return std::nullopt;  // 60 is a leap second: the first of the next minute
    ms += sec * 1000;
    at = 19;
    if (at < s.size() && (p[at] == '.' || p[at] == ',')) {
      int scale = 100;
      const std::size_t first = ++at;
      for (; at < s.size() && p[at] >= '0' && p[at] <= '9'; ++at, scale /= 10) ms += scale * (p[at] - '0');
      if (at == first) return std::nullopt;
    }
  }
  if (at < s.size() && p[at] == ' ') ++at;
  if (at < s.size()) {
    const auto zone = parse_zone(s.substr(at));
    if (!zone) return std::nullopt;
    ms -= *zone * std::int64_t{60000};
  }
  return in_range(ms);
}

std::optional<std::int64_t> epoch_to_ms(std::int64_t count, TimeUnit unit) noexcept {
  const auto floor_div = [](std::int64_t a, std::int64_t b) { return a / b - (a % b < 0); };
  switch (unit) {
    case TimeUnit::kSecond:
      if (count < kMinTimeMs / 1000 || count > kMaxTimeMs / 1000) return std::nullopt;
      return count * 1000;
    case TimeUnit::kMillisecond: return in_range(count);
    case TimeUnit::kMicrosecond: return in_range(floor_div(count, 1000));
    case TimeUnit::kNanosecond: return in_range(floor_div(count, 1000000));
  }
  return std::nullopt;
}

std::optional<std::int64_t> epoch_to_ms(double count, TimeUnit unit) noexcept {
  constexpr double scale[] = {1e3, 1.0, 1e-3, 1e-6};
  const double ms = std::floor(count * scale[static_cast<int>(unit)]);
  if (!(ms >= static_cast<double>(kMinTimeMs) && ms <= static_cast<double>(kMaxTimeMs))) return std::nullopt;
  return static_cast<std::int64_t>(ms);
}

std::optional<std::int64_t> parse_time(std::string_view text, const std::optional<TimeUnit>& unit) noexcept {
  if (unit) {
    const std::string_view s = trimmed(text);
    std::int64_t count = 0;
    auto r = std::from_chars(s.data(), s.data() + s.size(), count);
    if (r.ec == std::errc() && r.ptr == s.data() + s.size()) return epoch_to_ms(count, *unit);
    double number = 0;
    r = std::from_chars(s.data(), s.data() + s.size(), number);
    if (r.ec == std::errc() && r.ptr == s.data() + s.size()) return epoch_to_ms(number, *unit);
  }
  return parse_iso_time(text);
}

const char* unit_name(TimeUnit unit) noexcept {
  constexpr const char* names[] = {"s", "ms", "us", "ns"};
  return names[static_cast<int>(unit)];
}

}  // namespace etalage::detail

namespace etalage {

std::optional<std::int64_t> parse_time_ms(std::string_view text) noexcept { return detail::parse_iso_time(text); }

}  // namespace etalage
