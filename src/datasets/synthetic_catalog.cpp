// SPDX-License-Identifier: Apache-2.0
#include "datasets/synthetic_catalog.hpp"

#include <algorithm>
#include <array>
#include <memory>
#include <string>

#include "detail/random_stream.hpp"

namespace etalage::detail {
namespace {

struct Kind {
  const char* plural;
  const char* noun;
  std::int32_t cents;       // usual price
  std::int8_t season;
  std::int16_t cycle_days;
};
struct Section {
  const char* name;
  std::array<Kind, 3> kinds;
};
struct Department {
  const char* name;
  std::array<Section, 4> sections;
};

constexpr std::array<Department, kDepartments> kTree{{
    {"Home",
     {{{"Kitchen", {{{"Mugs", "Mug", 900, -1, 0}, {"Trays", "Tray", 1900, -1, 0}, {"Pans", "Pan", 3900, -1, 0}}}},
       {"Decoration", {{{"Candles", "Candle", 1200, 3, 45}, {"Frames", "Frame", 1500, -1, 0}, {"Vases", "Vase", 2400, 1, 0}}}},
       {"Bedroom", {{{"Pillows", "Pillow", 2900, -1, 0}, {"Blankets", "Blanket", 4500, 3, 0}, {"Sheets", "Sheet Set", 5200, -1, 0}}}},
       {"Lighting", {{{"Lamps", "Lamp", 5900, 3, 0}, {"Lanterns", "Lantern", 2100, 2, 0}, {"Bulbs", "Bulb Pack", 1100, -1, 90}}}}}}},
    {"Women",
     {{{"Dresses", {{{"Summer Dresses", "Summer Dress", 5900, 2, 0}, {"Evening Dresses", "Evening Dress", 8900, 3, 0}, {"Skirts", "Skirt", 3900, 1, 0}}}},
       {"Shoes", {{{"Boots", "Boots", 9900, 3, 0}, {"Sandals", "Sandals", 4900, 2, 0}, {"Pumps", "Pumps", 6900, -1, 0}}}},
       {"Tops", {{{"Blouses", "Blouse", 3500, -1, 0}, {"Cardigans", "Cardigan", 4900, 0, 0}, {"Shirts", "Shirt", 2500, -1, 0}}}},
       {"Accessories", {{{"Scarves", "Scarf", 2200, 3, 0}, {"Handbags", "Handbag", 7900, -1, 0}, {"Tights", "Tights", 900, 3, 30}}}}}}},
    {"Grocery",
     {{{"Drinks", {{{"Coffee", "Coffee", 1100, -1, 21}, {"Tea", "Tea", 700, 3, 28}, {"Juices", "Juice", 500, 2, 7}}}},
       {"Pantry", {{{"Pasta", "Pasta", 350, -1, 21}, {"Olive Oils", "Olive Oil", 1300, -1, 45}, {"Honeys", "Honey", 850, -1, 60}}}},
       {"Snacks", {{{"Chocolates", "Chocolate", 450, 3, 14}, {"Nuts", "Nuts", 650, -1, 21}, {"Biscuits", "Biscuits", 390, -1, 14}}}},
       {"Pets", {{{"Dog Food", "Dog Food", 2900, -1, 28}, {"Cat Food", "Cat Food", 1900, -1, 21}, {"Pet Toys", "Pet Toy", 900, -1, 0}}}}}}},
    {"Sports",
     {{{"Running", {{{"Running Shoes", "Running Shoe", 10900, 1, 0}, {"Running Shorts", "Running Short", 2900, 2, 0}, {"Energy Gels", "Energy Gel", 1500, -1, 30}}}},
       {"Outdoor", {{{"Tents", "Tent", 15900, 2, 0}, {"Backpacks", "Backpack", 7900, 2, 0}, {"Bottles", "Bottle", 1700, -1, 0}}}},
       {"Winter Sports", {{{"Ski Jackets", "Ski Jacket", 17900, 3, 0}, {"Gloves", "Gloves", 3500, 3, 0}, {"Goggles", "Goggles", 6900, 3, 0}}}},
       {"Gym", {{{"Mats", "Mat", 2900, 0, 0}, {"Dumbbells", "Dumbbell", 3900, 0, 0}, {"Protein", "Protein Powder", 2900, 0, 30}}}}}}},
    {"Electronics",
     {{{"Audio", {{{"Headphones", "Headphones", 8900, -1, 0}, {"Speakers", "Speaker", 7900, 3, 0}, {"Turntables", "Turntable", 18900, -1, 0}}}},
       {"Computing", {{{"Keyboards", "Keyboard", 6900, -1, 0}, {"Mice", "Mouse", 3900, -1, 0}, {"Monitors", "Monitor", 21900, -1, 0}}}},
       {"Photo", {{{"Tripods", "Tripod", 5900, 2, 0}, {"Camera Bags", "Camera Bag", 4900, 2, 0}, {"Lenses", "Lens", 29900, -1, 0}}}},
       {"Power", {{{"Chargers", "Charger", 2500, -1, 0}, {"Batteries", "Battery Pack", 1200, -1, 60}, {"Cables", "Cable", 1300, -1, 0}}}}}}},
    {"Beauty",
     {{{"Skin", {{{"Creams", "Cream", 2400, 0, 45}, {"Serums", "Serum", 3900, -1, 60}, {"Sun Care", "Sun Lotion", 1800, 2, 40}}}},
       {"Hair", {{{"Shampoos", "Shampoo", 1100, -1, 35}, {"Conditioners", "Conditioner", 1200, -1, 35}, {"Brushes", "Brush", 1600, -1, 0}}}},
       {"Make-up", {{{"Lipsticks", "Lipstick", 1900, -1, 90}, {"Mascaras", "Mascara", 1700, -1, 75}, {"Palettes", "Palette", 3900, 3, 0}}}},
       {"Perfume", {{{"Floral Perfumes", "Floral Perfume", 6900, 1, 0}, {"Woody Perfumes", "Woody Perfume", 7900, 3, 0}, {"Body Mists", "Body Mist", 1900, 2, 60}}}}}}},
    {"Garden",
     {{{"Plants", {{{"Bulb Flowers", "Bulb Flowers", 900, 0, 0}, {"Herbs", "Herb Pot", 450, 1, 60}, {"Shrubs", "Shrub", 2900, 1, 0}}}},
       {"Tools", {{{"Spades", "Spade", 3500, 1, 0}, {"Shears", "Shears", 2900, 1, 0}, {"Hoses", "Hose", 4500, 2, 0}}}},
       {"Furniture", {{{"Benches", "Bench", 12900, 1, 0}, {"Parasols", "Parasol", 8900, 2, 0}, {"Hammocks", "Hammock", 5900, 2, 0}}}},
       {"Birds", {{{"Bird Feeders", "Bird Feeder", 1900, 3, 0}, {"Bird Seed", "Bird Seed", 1300, 3, 28}, {"Nest Boxes", "Nest Box", 2500, 0, 0}}}}}}},
    {"Kids",
     {{{"Toys", {{{"Puzzles", "Puzzle", 1500, 3, 0}, {"Building Sets", "Building Set", 4900, 3, 0}, {"Dolls", "Doll", 2900, 3, 0}}}},
       {"Baby", {{{"Nappies", "Nappy Pack", 2200, -1, 14}, {"Wipes", "Wipes", 600, -1, 14}, {"Rompers", "Romper", 1900, -1, 0}}}},
       {"School", {{{"Schoolbags", "Schoolbag", 4900, 2, 0}, {"Pencils", "Pencil Set", 900, 2, 0}, {"Notebooks", "Notebook", 500, 2, 60}}}},
       {"Books", {{{"Picture Books", "Picture Book", 1300, 3, 0}, {"Audio Stories", "Audio Story", 1600, -1, 0}, {"Comics", "Comic", 900, -1, 0}}}}}}},
}};

constexpr std::array<const char*, kStyles> kStyleNames{"classic", "modern", "country", "vintage", "playful", "natural"};
constexpr std::array<std::array<const char*, 5>, kStyles> kAdjectives{{
    {"Navy", "Ivory", "Heritage", "Tailored", "Fine"},
    {"Matt Black", "Linear", "Graphite", "Urban", "Pure"},
    {"Gingham", "Rustic", "Meadow", "Farmhouse", "Oat"},
    {"Retro", "Brass", "Antique", "Fifties", "Sepia"},
    {"Polka Dot", "Rainbow", "Jolly", "Neon", "Zigzag"},
    {"Oak", "Organic", "Linen", "Moss", "Pebble"},
}};
constexpr std::array<const char*, 16> kHeads{"Nor", "Bel", "Cas", "Dal", "Elm", "Fjor", "Gal", "Hol",
                                             "Iva", "Jun", "Kel", "Lum", "Mar", "Ost", "Per", "Tor"};
constexpr std::array<const char*, 16> kTails{"vel", "mont", "ia",  "holm", "wick", "den", "etta", "ford",
                                             "ley", "ora",  "sen", "ton",  "ano",  "ess", "iq",   "lund"};

const Kind& kind_of(std::int32_t leaf) {
  const auto l = static_cast<std::size_t>(leaf);
  return kTree[l % 8].sections[(l / 8) % 4].kinds[l / 32];
}

std::string path_of(std::int32_t leaf) {
  const auto l = static_cast<std::size_t>(leaf);
  const Department& d = kTree[l % 8];
  return std::string(d.name) + " > " + d.sections[(l / 8) % 4].name + " > " + kind_of(leaf).plural;
}

std::string brand_name(std::uint32_t b) {
  std::string name = std::string(kHeads[b % 16]) + kTails[(b / 16 + b * 7) % 16];
  if (b >= 256) name += " " + std::to_string(b / 256 + 1);
  return name;
}

}  // namespace

SharedIdMap numbered_ids(const char* prefix, std::int32_t n, int digits) {
  std::string bytes;
  std::vector<std::int64_t> offsets{0};
  offsets.reserve(static_cast<std::size_t>(n) + 1);
  for (std::int32_t i = 0; i < n; ++i) {
    const std::string number = std::to_string(i);
    bytes += prefix;
    if (static_cast<int>(number.size()) < digits) bytes.append(static_cast<std::size_t>(digits) - number.size(), '0');
    bytes += number;
    offsets.push_back(static_cast<std::int64_t>(bytes.size()));
  }
  return std::make_shared<const IdMap>(
      IdMap::from_strings(Array<std::int64_t>(offsets), Array<char>(std::span<const char>(bytes.data(), bytes.size()))));
}

CatalogModel make_catalog(const SyntheticStoreOptions& options, SyntheticStore::CatalogColumns& columns) {
  CatalogModel model;
  const auto n = static_cast<std::size_t>(options.items);
  const std::int32_t num_leaves = std::clamp(options.items / 4, 1, 96);
  const std::uint32_t brands = 24 + static_cast<std::uint32_t>(std::min(options.items / 100, 1000));
  model.num_brands = brands;

  // A brand is at home in one department, and every department has at least three brands.
  model.brands_of_department.resize(kDepartments);
  std::vector<std::uint8_t> brand_tier(brands);
  for (std::uint32_t b = 0; b < brands; ++b) {
    brand_tier[b] = static_cast<std::uint8_t>(RandomStream(options.seed, 1, b).below(kTiers));
    model.brands_of_department[b % kDepartments].push_back(static_cast<std::uint16_t>(b));
  }

  model.items.resize(n);
  columns.names.resize(n);
  columns.category_paths.resize(n);
  columns.brands.resize(n);
  columns.tags.resize(n);
  columns.prices = Array<float>(n);
  columns.stock = Array<std::int32_t>(n);
  columns.launch_ms = Array<std::int64_t>(n);
  float* prices = columns.prices.mutable_data();
  std::int32_t* stock = columns.stock.mutable_data();
  std::int64_t* launch = columns.launch_ms.mutable_data();
  for (std::size_t i = 0; i < n; ++i) {
    RandomStream random(options.seed, 2, i);
    ItemTraits& t = model.items[i];
    // The first item of each leaf is there from the first day.
    const bool first = static_cast<std::int32_t>(i) < num_leaves;
    const auto leaves = static_cast<std::uint32_t>(num_leaves);
    t.leaf = first ? static_cast<std::int32_t>(i) : static_cast<std::int32_t>((random.below(leaves) + random.skewed(leaves)) / 2);
    const Kind& kind = kind_of(t.leaf);
    const auto& home = model.brands_of_department[static_cast<std::size_t>(department_of(t.leaf))];
    t.brand = home[random.below(static_cast<std::uint32_t>(home.size()))];
    t.style = static_cast<std::uint8_t>(random.below(kStyles));
    t.tier = brand_tier[t.brand];
    t.launch_day = static_cast<std::int16_t>(
        !first && random.chance(150) ? random.below(static_cast<std::uint32_t>(options.days)) : 0);
    t.in_stock = first || !random.chance(30);
    // Tiers cost 0.6, 0.9, 1.2 and 1.8 times the usual price, give or take a fifth; prices end in 9.
    constexpr std::array<std::uint32_t, kTiers> percent{60, 90, 120, 180};
    const std::uint32_t cents =
        static_cast<std::uint32_t>(kind.cents) * percent[t.tier] / 100 * (80 + random.below(41)) / 100;
    prices[i] = static_cast<float>(std::max<std::uint32_t>(cents / 10 * 10 + 9, 99)) / 100.0f;
    stock[i] = t.in_stock ? static_cast<std::int32_t>(1 + random.below(200)) : 0;
    launch[i] = options.start_ms + static_cast<std::int64_t>(t.launch_day) * 86'400'000;
    columns.brands[i] = brand_name(t.brand);
    columns.names[i] = columns.brands[i] + " " + kAdjectives[t.style][random.below(5)] + " " + kind.noun;
    columns.category_paths[i] = path_of(t.leaf);
    columns.tags[i] = kStyleNames[t.style];
  }
  columns.item_ids = numbered_ids("sku-", options.items, 6);

  model.leaves.resize(static_cast<std::size_t>(num_leaves));
  for (std::int32_t l = 0; l < num_leaves; ++l) {
    Leaf& leaf = model.leaves[static_cast<std::size_t>(l)];
    leaf = {0, 0, (l + 32) % num_leaves, kind_of(l).season, kind_of(l).cycle_days};
  }
  for (const ItemTraits& t : model.items) ++model.leaves[static_cast<std::size_t>(t.leaf)].count;
  for (std::size_t l = 1; l < model.leaves.size(); ++l)
    model.leaves[l].begin = model.leaves[l - 1].begin + model.leaves[l - 1].count;
  model.by_leaf.resize(n);
  std::vector<std::int32_t> next(model.leaves.size(), 0);
  for (std::size_t i = 0; i < n; ++i) {
    const auto l = static_cast<std::size_t>(model.items[i].leaf);
    model.by_leaf[static_cast<std::size_t>(model.leaves[l].begin + next[l]++)] = static_cast<std::int32_t>(i);
  }
  for (std::size_t i = 0; i < n; ++i) {
    RandomStream random(options.seed, 3, i);
    const Leaf& own = model.leaves[static_cast<std::size_t>(model.items[i].leaf)];
    const Leaf& other = model.leaves[static_cast<std::size_t>(own.neighbor)];
    model.items[i].companion =
        model.by_leaf[static_cast<std::size_t>(other.begin) + random.skewed(static_cast<std::uint32_t>(other.count))];
  }
  return model;
}

}  // namespace etalage::detail
