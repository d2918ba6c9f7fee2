// SPDX-License-Identifier: Apache-2.0
#include "etalage/serving/predicate.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <utility>

#include "serving/rules/json.hpp"
#include "serving/rules/live_offers.hpp"
#include "serving/rules/predicate_node.hpp"

namespace etalage {
namespace {

using Node = Predicate::Node;
using Kind = Node::Kind;
constexpr double kInfinity = std::numeric_limits<double>::infinity();

std::uint8_t uses_of(Kind kind) noexcept {
  using What = serving::LiveOffers::What;
  switch (kind) {
    case Kind::kStock:
    case Kind::kKnownStock:
    case Kind::kOffered: return static_cast<std::uint8_t>(What::kAvailable);
    case Kind::kPrice:
    case Kind::kKnownPrice: return static_cast<std::uint8_t>(What::kPrice);
    case Kind::kTag:
    case Kind::kRegion:
    case Kind::kAge: return static_cast<std::uint8_t>(What::kAttribute);
    default: return 0;
  }
}

Predicate make(Node node) {
  node.uses = uses_of(node.kind);
  node.asks = node.uses != 0 && node.place.empty();
  node.elsewhere = !node.place.empty();
  for (const Predicate& child : node.children) {
    node.uses = static_cast<std::uint8_t>(node.uses | child.node().uses);
    node.asks = node.asks || child.node().asks;
    node.elsewhere = node.elsewhere || child.node().elsewhere;
  }
  return Predicate(std::make_shared<const Node>(std::move(node)));
}

/// A leaf without arguments but for its place.
Predicate of_place(Kind kind, const char* name, std::string_view place) {
  Node n{.kind = kind};
  n.place = std::string(place);
  n.json.assign("{\"").append(name).append("\":");
  if (place.empty()) n.json.append("true}");
  else n.json.append("{\"place\":").append(serving::quoted(n.place, "place")).append("}}");
  n.above_zero = kind == Kind::kStock;
  return make(std::move(n));
}

std::string list_json(const std::vector<std::string>& values, const char* argument) {
  std::string out(1, '[');
  for (const std::string& v : values) {
    if (out.size() > 1) out += ',';
    out += serving::quoted(v, argument);
  }
  out += ']';
  return out;
}

Predicate of_list(Kind kind, const char* name, std::vector<std::string> values) {
  if (values.empty()) throw std::invalid_argument(std::string(name) + " is an empty list, must name at least one");
  for (const std::string& v : values)
    if (v.empty()) throw std::invalid_argument(std::string(name) + " holds an empty text, must not");
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
  Node n{.kind = kind};
  n.json.assign("{\"").append(name).append("\":").append(list_json(values, name)).append("}");
  n.values = std::move(values);
  return make(std::move(n));
}

Predicate of_range(Kind kind, const char* name, std::optional<double> min, std::optional<double> max, std::string_view place) {
  for (const auto& [bound, side] : {std::pair{min, ".min"}, std::pair{max, ".max"}})
    if (bound && !(std::isfinite(*bound) && *bound >= 0))
      throw std::invalid_argument(std::string(name) + side + " is " + serving::number_text(*bound) + ", must be a number >= 0");
  if (!min && !max) throw std::invalid_argument(std::string(name) + " has neither min nor max, must have one of them");
  if (min && max && *min > *max)
    throw std::invalid_argument(std::string(name) + ".min is " + serving::number_text(*min) + ", must be <= max, " + serving::number_text(*max));
  Node n{.kind = kind, .min = min.value_or(-kInfinity), .max = max.value_or(kInfinity)};
  n.json.assign("{\"").append(name).append("\":{");
  if (max) n.json.append("\"max\":").append(serving::number_text(*max));
  if (min && max) n.json += ',';
  if (min) n.json.append("\"min\":").append(serving::number_text(*min));
  n.place = std::string(place);
  if (!place.empty()) n.json.append(",\"place\":").append(serving::quoted(n.place, "place"));
  n.json += "}}";
  return make(std::move(n));
}

Predicate joined(Kind kind, const Predicate& a, const Predicate& b) {
  std::vector<Predicate> children;
  for (const Predicate* p : {&a, &b}) {
    if (p->node().kind == kind) children.insert(children.end(), p->node().children.begin(), p->node().children.end());
    else children.push_back(*p);
  }
  std::sort(children.begin(), children.end(), [](const Predicate& x, const Predicate& y) { return x.to_json() < y.to_json(); });
  children.erase(std::unique(children.begin(), children.end()), children.end());
  if (children.size() == 1) return children[0];
  Node n{.kind = kind};
  n.json.assign(kind == Kind::kAnd ? "{\"all\":[" : "{\"any\":[");
  for (const Predicate& c : children) {
    if (n.json.back() != '[') n.json += ',';
    n.json += c.to_json();
  }
  n.json += "]}";
  n.children = std::move(children);
  return make(std::move(n));
}

const std::shared_ptr<const Node>& everything_node() {
  static const auto node = std::make_shared<const Node>();
  return node;
}

}  // namespace

Predicate::Predicate() : node_(everything_node()) {}

Predicate Predicate::in_stock(std::string_view place) { return of_place(Kind::kStock, "in_stock", place); }
Predicate Predicate::stock(std::optional<double> min, std::optional<double> max, std::string_view place) {
  return of_range(Kind::kStock, "stock", min, max, place);
}
Predicate Predicate::price(std::optional<double> min, std::optional<double> max, std::string_view place) {
  return of_range(Kind::kPrice, "price", min, max, place);
}
Predicate Predicate::known_stock(std::string_view place) { return of_place(Kind::kKnownStock, "known_stock", place); }
Predicate Predicate::known_price(std::string_view place) { return of_place(Kind::kKnownPrice, "known_price", place); }
Predicate Predicate::offered(std::string_view place) { return of_place(Kind::kOffered, "offered", place); }

Predicate Predicate::category(std::vector<std::string> path) {
  if (path.empty()) throw std::invalid_argument("category is an empty path, must have at least one name");
  Node n{.kind = Kind::kCategory};
  n.json.assign("{\"category\":").append(list_json(path, "category")).append("}");
  n.values = std::move(path);
  return make(std::move(n));
}

Predicate Predicate::category(std::string_view path) {
  std::vector<std::string> names;
  for (std::size_t begin = 0; begin <= path.size();) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    if (end == begin)
      throw std::invalid_argument("category is '" + std::string(path) + "', must be names joined by '/', none of them empty");
    names.emplace_back(path.substr(begin, end - begin));
    begin = end + 1;
  }
  return category(std::move(names));
}

Predicate Predicate::brand(std::vector<std::string> any_of) { return of_list(Kind::kBrand, "brand", std::move(any_of)); }
Predicate Predicate::tag(std::vector<std::string> any_of) { return of_list(Kind::kTag, "tag", std::move(any_of)); }

Predicate Predicate::attribute(std::string_view name, std::vector<std::string> any_of) {
  if (name.empty() || name.find(':') != std::string_view::npos)
    throw std::invalid_argument("attribute name is '" + std::string(name) + "', must be a name without a colon");
  for (std::string& v : any_of) {
    if (v.empty()) throw std::invalid_argument("attribute " + std::string(name) + " holds an empty text, must not");
    v = std::string(name) + ":" + v;
  }
  return of_list(Kind::kTag, "tag", std::move(any_of));
}

Predicate Predicate::region(std::string_view region) {
  if (region.empty()) throw std::invalid_argument("region is empty, must be a name");
  Node n{.kind = Kind::kRegion};
  n.values = {std::string(region)};
  n.json.assign("{\"region\":").append(serving::quoted(n.values[0], "region")).append("}");
  return make(std::move(n));
}

Predicate Predicate::age(int age) {
  if (age < 0) throw std::invalid_argument("age is " + std::to_string(age) + ", must be >= 0");
  Node n{.kind = Kind::kAge, .min = static_cast<double>(age)};
  n.json.assign("{\"age\":").append(std::to_string(age)).append("}");
  return make(std::move(n));
}

Predicate Predicate::items(std::vector<std::string> keys) { return of_list(Kind::kItems, "items", std::move(keys)); }

Predicate Predicate::operator&(const Predicate& other) const {
  if (node_->kind == Kind::kEverything) return other;
  if (other.node_->kind == Kind::kEverything) return *this;
  return joined(Kind::kAnd, *this, other);
}

Predicate Predicate::operator|(const Predicate& other) const {
  if (node_->kind == Kind::kEverything || other.node_->kind == Kind::kEverything) return {};
  return joined(Kind::kOr, *this, other);
}

Predicate Predicate::operator~() const {
  if (node_->kind == Kind::kNot) return node_->children[0];
  Node n{.kind = Kind::kNot};
  n.children = {*this};
  n.json.assign("{\"not\":").append(node_->json).append("}");
  return make(std::move(n));
}

const std::string& Predicate::to_json() const noexcept { return node_->json; }

}  // namespace etalage
