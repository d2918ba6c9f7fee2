// SPDX-License-Identifier: Apache-2.0
#include "etalage/profile/calibration.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <stdexcept>
#include <string>

#include "detail/check.hpp"
#include "detail/limits.hpp"
#include "profile/sigmoid.hpp"

namespace etalage {
namespace {

std::vector<std::size_t> rising(std::span<const double> values) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return values[a] != values[b] ? values[a] < values[b] : a < b; });
  return order;
}

/// Newton's method with halving on the two parameters.
void fit_platt(std::span<const double> margins, std::span<const std::uint8_t> labels, double& slope, double& offset) {
  const auto ones = static_cast<double>(std::count_if(labels.begin(), labels.end(), [](std::uint8_t y) { return y != 0; }));
  const double zeros = static_cast<double>(labels.size()) - ones;
  const double high = (ones + 1) / (ones + 2);
  const double low = 1 / (zeros + 2);
  const auto loss = [&](double a, double b) {
    double sum = 0;
    for (std::size_t i = 0; i < margins.size(); ++i) {
      const double m = a * margins[i] + b;
      sum += profile::log1p_exp(m) - (labels[i] ? high : low) * m;
    }
    return sum;
  };
  double current = loss(slope, offset);
  for (int iteration = 0; iteration < 100; ++iteration) {
    double ga = 0, gb = 0, haa = 1e-9, hab = 0, hbb = 1e-9;
    for (std::size_t i = 0; i < margins.size(); ++i) {
      const double p = profile::sigmoid(slope * margins[i] + offset);
      const double r = p - (labels[i] ? high : low);
      const double c = p * (1 - p);
      ga += r * margins[i];
      gb += r;
      haa += c * margins[i] * margins[i];
      hab += c * margins[i];
      hbb += c;
    }
    if (std::max(std::abs(ga), std::abs(gb)) <= 1e-9 * static_cast<double>(margins.size())) return;
    const double det = haa * hbb - hab * hab;
    if (!(det > 0)) return;
    const double da = (hbb * ga - hab * gb) / det;
    const double db = (haa * gb - hab * ga) / det;
    double length = 1;
    for (int halvings = 0; halvings < 40; ++halvings, length /= 2)
      if (const double next = loss(slope - length * da, offset - length * db); next < current) {
        current = next;
        break;
      } else if (halvings == 39) {
        return;
      }
    slope -= length * da;
    offset -= length * db;
  }
}

}  // namespace

Calibrator::Calibrator(Calibration kind, std::span<const double> margins, std::span<const std::uint8_t> labels) : kind_(kind) {
  detail::require(margins.size() == labels.size(), "labels.size()", labels.size(), "margins.size()");
  for (const double m : margins)
    if (!std::isfinite(m)) throw std::invalid_argument(detail::violated("margins", m, "finite"));
  if (kind == Calibration::kNone) return;
  detail::require(!margins.empty(), "margins.size()", margins.size(), "at least 1");
  if (kind == Calibration::kPlatt) {
    fit_platt(margins, labels, slope_, offset_);
    return;
  }
  struct Block {
    double margin;  // sums
    double ones;
    double count;
  };
  std::vector<Block> blocks;
  double all = 0;
  for (const std::size_t i : rising(margins)) {
    const double y = labels[i] ? 1.0 : 0.0;
    all += y;
    // Equal margins belong together from the start.
    if (!blocks.empty() && blocks.back().margin == blocks.back().count * margins[i]) {
      blocks.back().margin += margins[i];
      blocks.back().ones += y;
      blocks.back().count += 1;
    } else {
      blocks.push_back({margins[i], y, 1});
    }
    while (blocks.size() > 1) {
      const Block& b = blocks.back();
      Block& a = blocks[blocks.size() - 2];
      if (a.ones * b.count < b.ones * a.count) break;
      a.margin += b.margin;
      a.ones += b.ones;
      a.count += b.count;
      blocks.pop_back();
    }
  }
  const double base = all / static_cast<double>(margins.size());
  for (const Block& b : blocks) {
    const double p = (b.ones + base) / (b.count + 1);
    const double middle = b.margin / b.count;
    if (!margins_.empty() && middle <= margins_.back()) continue;  // parted by rounding alone
    margins_.push_back(middle);
    probabilities_.push_back(probabilities_.empty() ? p : std::max(p, probabilities_.back()));
  }
}

double Calibrator::probability(double margin) const noexcept {
  if (kind_ != Calibration::kIsotonic) return profile::sigmoid(slope_ * margin + offset_);
  const auto above = std::upper_bound(margins_.begin(), margins_.end(), margin);
  if (above == margins_.begin()) return probabilities_.front();
  if (above == margins_.end()) return probabilities_.back();
  const auto i = static_cast<std::size_t>(above - margins_.begin());
  const double part = (margin - margins_[i - 1]) / (margins_[i] - margins_[i - 1]);
  return probabilities_[i - 1] + part * (probabilities_[i] - probabilities_[i - 1]);
}

void Calibrator::save_state(StateWriter& writer) const {
  writer.put_int("kind", static_cast<std::int64_t>(kind_));
  writer.put_double("slope", slope_);
  writer.put_double("offset", offset_);
  writer.put_array("margins", Array<double>(margins_));
  writer.put_array("probabilities", Array<double>(probabilities_));
}

Calibrator Calibrator::from_state(const StateReader& reader) {
  Calibrator out;
  out.kind_ = static_cast<Calibration>(reader.get_int("kind", 0, 2));
  out.slope_ = reader.get_double("slope");
  out.offset_ = reader.get_double("offset");
  if (!std::isfinite(out.slope_) || !std::isfinite(out.offset_)) reader.fail("slope", "found a number that is not finite");
  const Array<double> margins = reader.get_array<double>("margins");
  const Array<double> probabilities = reader.get_array<double>("probabilities", margins.size());
  if (out.kind_ == Calibration::kIsotonic && margins.empty()) reader.fail("margins", "found no step, expected at least 1");
  for (std::size_t i = 0; i < margins.size(); ++i) {
    if (!std::isfinite(margins[i]) || (i > 0 && margins[i] <= margins[i - 1])) reader.fail("margins", "found margins that do not rise");
    if (!(probabilities[i] >= 0 && probabilities[i] <= 1) || (i > 0 && probabilities[i] < probabilities[i - 1]))
      reader.fail("probabilities", "found probabilities that fall or leave [0, 1]");
  }
  out.margins_.assign(margins.begin(), margins.end());
  out.probabilities_.assign(probabilities.begin(), probabilities.end());
  return out;
}

BinaryEvaluation evaluate_probabilities(std::span<const double> probabilities, std::span<const std::uint8_t> labels, std::size_t bins) {
  detail::require(probabilities.size() == labels.size(), "labels.size()", labels.size(), "probabilities.size()");
  detail::require(bins >= 1, "bins", bins, ">= 1");
  detail::require_at_most("bins", bins, detail::kMostListed);
  for (const double p : probabilities)
    if (!(p >= 0 && p <= 1)) throw std::invalid_argument(detail::violated("probabilities", p, "in [0, 1]"));
  BinaryEvaluation out;
  const std::size_t n = labels.size();
  out.examples = static_cast<std::int64_t>(n);
  const std::vector<std::size_t> order = rising(probabilities);
  double ranks = 0;  // of the ones, from 1
  for (std::size_t i = 0; i < n;) {
    std::size_t j = i;
    double ones = 0;
    for (; j < n && probabilities[order[j]] == probabilities[order[i]]; ++j) ones += labels[order[j]] ? 1 : 0;
    ranks += ones * (static_cast<double>(i + j + 1) / 2);
    out.positives += static_cast<std::int64_t>(ones);
    i = j;
  }
  const auto ones = static_cast<double>(out.positives);
  const double zeros = static_cast<double>(n) - ones;
  out.auc = ones > 0 && zeros > 0 ? (ranks - ones * (ones + 1) / 2) / (ones * zeros) : std::numeric_limits<double>::quiet_NaN();
  for (std::size_t i = 0; i < n; ++i) {
    const double p = probabilities[i];
    const double y = labels[i] ? 1.0 : 0.0;
    out.log_loss -= std::log(std::max(1e-15, labels[i] ? p : 1 - p));
    out.brier += (p - y) * (p - y);
  }
  if (n == 0) return out;
  out.log_loss /= static_cast<double>(n);
  out.brier /= static_cast<double>(n);
  std::size_t at = 0;
  for (std::size_t b = 0; b < bins && at < n; ++b) {
    std::size_t end = std::max(at + 1, (b + 1) * n / bins);
    while (end < n && probabilities[order[end]] == probabilities[order[end - 1]]) ++end;
    BinaryEvaluation::Bin bin{probabilities[order[at]], probabilities[order[end - 1]], static_cast<std::int64_t>(end - at), 0, 0};
    for (; at < end; ++at) {
      bin.predicted += probabilities[order[at]];
      bin.observed += labels[order[at]] ? 1 : 0;
    }
    bin.predicted /= static_cast<double>(bin.count);
    bin.observed /= static_cast<double>(bin.count);
    out.calibration_error += static_cast<double>(bin.count) / static_cast<double>(n) * std::abs(bin.predicted - bin.observed);
    out.bins.push_back(bin);
  }
  return out;
}

}  // namespace etalage
