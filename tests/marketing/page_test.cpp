// SPDX-License-Identifier: Apache-2.0
#include "etalage/marketing/page.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

namespace etalage::marketing {
namespace {

struct Case {
  std::vector<std::int64_t> offsets{0}, items, limit_offsets;
  std::vector<double> scores, weights;
  std::vector<std::int32_t> slots, limit_of, row_position;
  std::vector<PageLimit> limits;
  std::vector<PagePin> pins;
  ClickModel model = ClickModel::position;
  double temperature = 0;

  [[nodiscard]] PageProblem problem() const {
    return {offsets, items, scores, slots, weights, model, temperature, limit_offsets, limit_of, limits, row_position, pins};
  }
  [[nodiscard]] std::size_t rows() const { return offsets.size() - 1; }
};

Case make(std::size_t rows, std::size_t positions, std::int32_t slots, std::size_t candidates, std::int64_t products, unsigned seed) {
  std::mt19937 rng(seed);
  std::uniform_real_distribution<double> score(0.01, 0.6);
  Case c;
  std::vector<std::int64_t> all(static_cast<std::size_t>(products));
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = 1000 + 7 * static_cast<std::int64_t>(i);
  for (std::size_t r = 0; r < rows; ++r) {
    std::shuffle(all.begin(), all.end(), rng);
    for (std::size_t j = 0; j < candidates; ++j) {
      c.items.push_back(all[j]);
      c.scores.push_back(score(rng));
    }
    c.offsets.push_back(static_cast<std::int64_t>(c.items.size()));
  }
  c.slots.assign(positions, slots);
  for (std::size_t at = 0; at < positions; ++at)
    for (std::int32_t s = 0; s < slots; ++s) c.weights.push_back(1.0 / static_cast<double>(1 + at) / (1 + 0.4 * s));
  return c;
}

/// Limit g of a page: the products whose number leaves g when divided by `limits.size()`.
void label(Case& c, std::vector<PageLimit> limits) {
  c.limits = std::move(limits);
  c.limit_offsets.assign(1, 0);
  for (const std::int64_t item : c.items) {
    c.limit_of.push_back(static_cast<std::int32_t>(static_cast<std::size_t>(item) % c.limits.size()));
    c.limit_offsets.push_back(static_cast<std::int64_t>(c.limit_of.size()));
  }
}

double worth(const Case& c, const std::vector<std::int64_t>& page) {
  std::vector<std::size_t> looking(page.size());
  for (std::size_t k = 0; k < looking.size(); ++k) looking[k] = k;
  std::stable_sort(looking.begin(), looking.end(), [&](std::size_t a, std::size_t b) { return c.weights[a] > c.weights[b]; });
  std::map<std::int64_t, double> heat;
  double sum = 0, left = 1;
  for (const std::size_t k : looking) {
    if (page[k] < 0) continue;
    const auto cell = static_cast<std::size_t>(page[k]);
    double& factor = heat.try_emplace(c.items[cell], 1.0).first->second;
    const double score = c.scores[cell] * factor;
    factor *= c.temperature;
    sum += c.weights[k] * score * left;
    if (c.model == ClickModel::cascade) left *= 1 - score;
  }
  return sum;
}

/// Whether the page keeps everything; empty places allowed.
bool allowed(const Case& c, const std::vector<std::int32_t>& rows, const std::vector<std::int64_t>& page) {
  std::vector<std::int64_t> given(c.limits.size(), 0);
  std::set<std::int64_t> shown;
  std::size_t k = 0;
  for (std::size_t at = 0; at < rows.size(); ++at) {
    std::set<std::int64_t> of_row;
    for (std::int32_t s = 0; s < c.slots[at]; ++s, ++k) {
      if (page[k] < 0) continue;
      const auto cell = static_cast<std::size_t>(page[k]);
      if (rows[at] < 0 || page[k] < c.offsets[static_cast<std::size_t>(rows[at])] || page[k] >= c.offsets[static_cast<std::size_t>(rows[at]) + 1]) return false;
      if (!of_row.insert(c.items[cell]).second) return false;
      if (!shown.insert(c.items[cell]).second && c.temperature == 0) return false;
      if (!c.limits.empty()) ++given[static_cast<std::size_t>(c.limit_of[cell])];
    }
  }
  for (std::size_t g = 0; g < given.size(); ++g)
    if (given[g] < c.limits[g].at_least || given[g] > c.limits[g].at_most) return false;
  for (const PagePin& pin : c.pins) {
    std::size_t place = 0;
    bool kept = false;
    for (std::size_t at = 0; at < rows.size(); place += static_cast<std::size_t>(c.slots[at++]))
      if (rows[at] >= 0 && pin.cell >= static_cast<std::size_t>(c.offsets[static_cast<std::size_t>(rows[at])]) && pin.cell < static_cast<std::size_t>(c.offsets[static_cast<std::size_t>(rows[at]) + 1]))
        kept = page[place + static_cast<std::size_t>(pin.slot)] == static_cast<std::int64_t>(pin.cell);
    if (!kept) return false;
  }
  for (std::size_t r = 0; r < c.row_position.size(); ++r) {
    const auto found = std::find(rows.begin(), rows.end(), static_cast<std::int32_t>(r));
    if (c.row_position[r] == kMustAppear && found == rows.end()) return false;
    if (c.row_position[r] >= 0 && found - rows.begin() != c.row_position[r]) return false;
  }
  return true;
}

/// The best page of all, or -1 where none is allowed.
double brute_force(const Case& c) {
  double best = -1;
  std::vector<std::int32_t> rows(c.slots.size(), -1);
  std::vector<std::int64_t> page(c.weights.size(), -1);
  const std::function<void(std::size_t)> fill = [&](std::size_t k) {
    if (k == page.size()) {
      if (allowed(c, rows, page)) best = std::max(best, worth(c, page));
      return;
    }
    std::size_t at = 0;
    for (std::size_t rest = k; rest >= static_cast<std::size_t>(c.slots[at]); ++at) rest -= static_cast<std::size_t>(c.slots[at]);
    const auto row = static_cast<std::size_t>(rows[at]);
    page[k] = -1;
    fill(k + 1);
    for (std::int64_t cell = c.offsets[row]; cell < c.offsets[row + 1]; ++cell) {
      page[k] = cell;
      fill(k + 1);
    }
    page[k] = -1;
  };
  const std::function<void(std::size_t)> order = [&](std::size_t at) {
    if (at == rows.size()) {
      fill(0);
      return;
    }
    for (std::int32_t r = 0; r < static_cast<std::int32_t>(c.rows()); ++r) {
      if (std::find(rows.begin(), rows.begin() + static_cast<std::ptrdiff_t>(at), r) != rows.begin() + static_cast<std::ptrdiff_t>(at)) continue;
      rows[at] = r;
      order(at + 1);
    }
  };
  order(0);
  return best;
}

void expect_near_best(const Case& c, double least_share, const std::string& what) {
  const double best = brute_force(c);
  PageOptions options;
  options.max_steps = 60;
  if (best < 0) {
    EXPECT_THROW((void)compose_page(c.problem(), options), std::invalid_argument) << what;
    return;
  }
  const PageLayout page = compose_page(c.problem(), options);
  EXPECT_NEAR(page.value, worth(c, page.cells), 1e-12) << what;
  EXPECT_GE(page.bound, best * (1 - 1e-12)) << what;
  EXPECT_LE(page.value, best * (1 + 1e-12)) << what;
  EXPECT_GE(page.value, best * least_share) << what;
  // A row with nothing to show is told as none.
  std::vector<std::int32_t> rows = page.rows;
  EXPECT_TRUE(allowed(c, rows, page.cells)) << what;
}

TEST(Page, IsTheBestOfAllPages) {
  double sum = 0;
  for (unsigned seed = 0; seed < 30; ++seed) {
    const Case c = make(3, 2, 2, 3, 5, seed);
    expect_near_best(c, 0.97, "seed " + std::to_string(seed));
    sum += compose_page(c.problem()).value / brute_force(c);
  }
  EXPECT_GE(sum / 30, 0.998);
}

TEST(Page, KeepsLimitsAtTheLeastLoss) {
  for (unsigned seed = 0; seed < 30; ++seed) {
    Case c = make(3, 2, 2, 3, 6, seed);
    label(c, {{"a", 0, 1}, {"b", 1, 4}, {"c", 0, 4}});
    expect_near_best(c, 0.9, "seed " + std::to_string(seed));
  }
}

TEST(Page, CascadeIsBoundedByItsTangents) {
  for (unsigned seed = 0; seed < 30; ++seed) {
    Case c = make(3, 2, 2, 3, 5, seed);
    c.model = ClickModel::cascade;
    expect_near_best(c, 0.97, "seed " + std::to_string(seed));
    label(c, {{"a", 1, 2}, {"b", 0, 1}});
    expect_near_best(c, 0.9, "limits, seed " + std::to_string(seed));
  }
}

TEST(Page, TheFirstTangentsOfACascadeBoundIt) {
  PageOptions first;
  first.max_steps = 0;
  for (const double temperature : {0.0, 0.5}) {
    Case c = make(20, 20, 12, 200, 2000, 7);
    c.model = ClickModel::cascade;
    c.temperature = temperature;
    for (double& s : c.scores) s *= 0.2;
    const PageLayout page = compose_page(c.problem(), first);
    EXPECT_GE(page.bound, compose_page(c.problem()).value);
    EXPECT_LE(page.gap, 0.03) << "tangents at a page that nobody would show are far off";
  }
}

TEST(Page, RepeatsCoolDown) {
  for (unsigned seed = 0; seed < 20; ++seed) {
    Case c = make(2, 2, 2, 3, 4, seed);
    for (const double temperature : {0.3, 0.8, 1.0}) {
      c.temperature = temperature;
      expect_near_best(c, 0.95, "temperature " + std::to_string(temperature) + ", seed " + std::to_string(seed));
    }
  }
}

TEST(Page, PromisedPlacesAreKept) {
  for (unsigned seed = 0; seed < 20; ++seed) {
    Case c = make(3, 2, 2, 3, 5, seed);
    c.row_position = {kAnywhere, kMustAppear, kAnywhere};
    c.pins = {{static_cast<std::size_t>(c.offsets[1]) + seed % 3, 1}};
    expect_near_best(c, 0.95, "must appear, seed " + std::to_string(seed));
    c.row_position[1] = 1;
    expect_near_best(c, 0.95, "position, seed " + std::to_string(seed));
  }
}

TEST(Page, GapIsSmallAtTheSizeOfAShop) {
  for (const ClickModel model : {ClickModel::position, ClickModel::cascade}) {
    Case c = make(20, 20, 12, 200, 2000, 5);
    c.model = model;
    if (model == ClickModel::cascade)
      for (double& s : c.scores) s *= 0.2;
    const PageLayout page = compose_page(c.problem());
    EXPECT_LE(page.gap, 0.01);
    EXPECT_TRUE(allowed(c, page.rows, page.cells));
    label(c, std::vector<PageLimit>(30, {"brand", 2, 10}));
    const PageLayout limited = compose_page(c.problem());
    EXPECT_LE(limited.gap, 0.03);
    EXPECT_TRUE(allowed(c, limited.rows, limited.cells));
    EXPECT_LE(limited.bound, page.bound * 1.001);
    // Minima for nearly every place: a subsidy that all places want must not set off a price war, nor cost the page its worth.
    c.limit_of.clear();
    label(c, std::vector<PageLimit>(30, {"brand", 7, 10}));
    const PageLayout tight = compose_page(c.problem());
    EXPECT_LE(tight.gap, 0.03);
    EXPECT_TRUE(allowed(c, tight.rows, tight.cells));
    EXPECT_GE(tight.value, page.value * 0.98);
  }
}

TEST(Page, ShortRowsAreNotShown) {
  // Both rows hold the same three products: only one of them can keep two.
  Case c;
  c.offsets = {0, 3, 6};
  c.items = {1, 2, 3, 1, 2, 3};
  c.scores = {0.9, 0.8, 0.7, 0.5, 0.4, 0.3};
  c.slots = {2, 2};
  c.weights = {1, 0.9, 0.8, 0.7};
  PageOptions options;
  options.min_items = 2;
  const PageLayout page = compose_page(c.problem(), options);
  EXPECT_EQ(page.rows, (std::vector<std::int32_t>{0, -1}));
  EXPECT_EQ(page.cells, (std::vector<std::int64_t>{0, 1, -1, -1}));
}

std::string refused(const Case& c) {
  try {
    (void)compose_page(c.problem());
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "nothing";
}

TEST(Page, SaysWhatClashes) {
  Case c = make(2, 2, 2, 3, 6, 1);
  c.row_position = {0, 0};
  EXPECT_EQ(refused(c), "rows 0 and 1 are both promised position 0");
  c.row_position = {0, 1};
  c.pins = {{0, 0}, {1, 0}};
  EXPECT_EQ(refused(c), "slot 0 of row 0 is promised to two products");
  c.pins = {{0, 0}, {1, 1}};
  Case limited = c;
  label(limited, {{"brand A", 0, 0}});
  EXPECT_EQ(refused(limited), "promised places show 2 of brand A, and at_most is 0");
  c.pins.clear();
  limited = c;
  label(limited, {{"brand A", 0, 9}, {"brand B", 5, 9}});
  EXPECT_EQ(refused(limited), "at_least of brand B is 5, and the page has 4 places");
  limited.limits = {{"brand A", 2, 9}, {"brand B", 3, 9}};
  limited.weights = {1, 0.9};
  limited.slots = {1, 1};
  limited.pins.clear();
  limited.limits[1].at_least = 1;
  EXPECT_EQ(refused(limited), "at_least of brand A, brand B adds up to 3, and the places of the page are 2");
  // One limit holds the other two.
  limited = c;
  limited.limits = {{"all", 0, 1}, {"even", 1, 9}, {"odd", 1, 9}};
  limited.limit_offsets = {0};
  for (const std::int64_t item : limited.items) {
    limited.limit_of.insert(limited.limit_of.end(), {0, item % 2 == 0 ? 1 : 2});
    limited.limit_offsets.push_back(static_cast<std::int64_t>(limited.limit_of.size()));
  }
  EXPECT_EQ(refused(limited), "at_least of even, odd adds up to 2, and at_most of all is 1");
}

TEST(Page, RefusesWhatIsNoPage) {
  Case c = make(2, 2, 2, 3, 6, 1);
  c.scores[2] = -1;
  EXPECT_EQ(refused(c), "scores[2] is -1, must be finite and >= 0");
  c.scores[2] = 1;
  c.model = ClickModel::cascade;
  EXPECT_EQ(refused(c), "scores[2] is 1, must be in [0, 1): a probability");
  c.scores[2] = 0.5;
  c.items[1] = c.items[0];
  EXPECT_EQ(refused(c), "row 0 has product " + std::to_string(c.items[0]) + " twice, must have it once");
  EXPECT_EQ(refused({}), "slots.size() is 0, must be in [1, 1024]");
}

TEST(PagePeriod, ChangesOnceAPeriodAndNotForAllAtOnce) {
  std::set<std::int64_t> changes;
  for (int shopper = 0; shopper < 50; ++shopper) {
    const std::string key = std::string("s").append(std::to_string(shopper));
    std::int64_t last = page_period(key, "home", 0, 1000), moved = -1;
    int times = 0;
    for (std::int64_t now = 1; now <= 1000; ++now) {
      const std::int64_t period = page_period(key, "home", now, 1000);
      if (period == last) continue;
      EXPECT_EQ(period, last + 1);
      last = period;
      moved = now;
      ++times;
    }
    EXPECT_EQ(times, 1);
    changes.insert(moved);
  }
  EXPECT_GT(changes.size(), 40u);
  EXPECT_EQ(page_period("a", "home", -5000, 1000) + 5, page_period("a", "home", 0, 1000));
}

}  // namespace
}  // namespace etalage::marketing
