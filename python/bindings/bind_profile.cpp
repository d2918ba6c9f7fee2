// SPDX-License-Identifier: Apache-2.0
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "etalage/core/catalog.hpp"
#include "etalage/io/profile_files.hpp"
#include "etalage/profile/profiles.hpp"
#include "file_helpers.hpp"
#include "numpy_helpers.hpp"
#include "option_fields.hpp"
#include "profile_helpers.hpp"

namespace etalage::python {
namespace {

py::object path_or_none(const ItemFacts& facts, std::int32_t category) {
  return category < 0 || category >= facts.num_categories() ? py::object(py::none()) : py::object(py::str(facts.category_path(category)));
}
py::object brand_or_none(const ItemFacts& facts, std::int32_t brand) {
  return brand < 0 || brand >= facts.num_brands() ? py::object(py::none()) : py::object(py::str(facts.brand_name(brand)));
}

template <std::size_t N>
std::int32_t largest(const std::array<double, N>& a) {
  const auto at = std::max_element(a.begin(), a.end());
  return *at > 0 ? static_cast<std::int32_t>(at - a.begin()) : -1;
}

template <std::size_t N>
std::vector<double> shares(const std::array<double, N>& a) {
  double all = 0;
  for (const double x : a) all += x;
  std::vector<double> out;
  for (const double x : a) out.push_back(all > 0 ? x / all : 0);
  return out;
}

py::dict table(const Profiles& p, std::int64_t now) {
  const auto n = static_cast<std::size_t>(p.size());
  std::vector<std::int64_t> first(n), last(n), last_purchase(n), orders(n), events(n), views(n), carts(n), purchases(n), returns(n), sessions(n);
  std::vector<double> recency(n), money(n), gap(n), price(n);
  std::vector<std::int32_t> hour(n), weekday(n);
  py::list segment;
  py::list category;
  py::list brand;
  for (std::size_t i = 0; i < n; ++i) {
    const UserProfile& u = p.at(static_cast<std::int32_t>(i));
    const auto& c = u.counts();
    first[i] = c.first_ms;
    last[i] = c.last_ms;
    last_purchase[i] = c.last_purchase_ms;
    orders[i] = c.orders;
    events[i] = c.events;
    views[i] = c.views;
    carts[i] = c.carts;
    purchases[i] = c.purchases;
    returns[i] = c.returns;
    sessions[i] = c.sessions;
    recency[i] = u.recency_days(now);
    money[i] = u.sums().money;
    gap[i] = c.order_gaps > 0 ? u.sums().gap_mean_days : std::numeric_limits<double>::quiet_NaN();
    price[i] = u.price_level();
    hour[i] = largest(u.sums().hours);
    weekday[i] = largest(u.sums().weekdays);
    segment.append(std::string(lifecycle_name(u.lifecycle(now, p.options()))));
    // The deepest of what they like best: a root says least.
    const auto liked = u.categories();
    std::int32_t best = -1;
    for (const Affinity& a : liked)
      if (best < 0 || p.facts().parent(a.id) == best) best = a.id;
    category.append(path_or_none(p.facts(), best));
    const auto brands = u.brands();
    brand.append(brand_or_none(p.facts(), brands.empty() ? -1 : brands[0].id));
  }
  const auto texts = [](const py::list& l) { return py::module_::import("numpy").attr("array")(l, py::arg("dtype") = py::module_::import("builtins").attr("object")); };
  py::dict d;
  put(d, "segment", texts(segment), "first", take(std::move(first)), "last", take(std::move(last)),
      "last_purchase", take(std::move(last_purchase)), "recency_days", take(std::move(recency)), "orders", take(std::move(orders)),
      "money", take(std::move(money)), "events", take(std::move(events)), "views", take(std::move(views)), "carts", take(std::move(carts)),
      "purchases", take(std::move(purchases)), "returns", take(std::move(returns)), "sessions", take(std::move(sessions)),
      "gap_days", take(std::move(gap)), "price_level", take(std::move(price)), "top_category", texts(category), "top_brand", texts(brand),
      "top_hour", take(std::move(hour)), "top_weekday", take(std::move(weekday)));
  return d;
}

}  // namespace

py::dict profile_fields(const UserProfile& u, const ItemFacts& facts, const ProfileOptions& options, std::int64_t now) {
  const auto& c = u.counts();
  const auto& s = u.sums();
  py::dict d;
  put(d, "segment", std::string(lifecycle_name(u.lifecycle(now, options))), "first_ms", c.first_ms, "last_ms", c.last_ms,
      "last_purchase_ms", c.last_purchase_ms, "recency_days", u.recency_days(now), "orders", c.orders, "money", s.money, "events", c.events,
      "views", c.views, "carts", c.carts, "purchases", c.purchases, "returns", c.returns, "sessions", c.sessions,
      "gap_days", c.order_gaps > 0 ? py::object(py::float_(s.gap_mean_days)) : py::object(py::none()), "price_level", u.price_level());
  py::dict categories;
  for (const Affinity& a : u.categories()) categories[path_or_none(facts, a.id)] = u.category_share(a.id, facts);
  d["categories"] = categories;
  py::dict brands;
  for (const Affinity& a : u.brands()) brands[brand_or_none(facts, a.id)] = u.brand_share(a.id);
  d["brands"] = brands;
  d["price_bands"] = shares(s.bands);
  d["hours"] = shares(s.hours);
  d["weekdays"] = shares(s.weekdays);
  return d;
}

py::dict due_fields(const std::vector<BuyAgain>& list) {
  std::vector<std::int32_t> items, counts;
  std::vector<std::int64_t> last, due;
  std::vector<double> gap, probability;
  for (const BuyAgain& b : list) {
    items.push_back(b.item);
    counts.push_back(b.count);
    last.push_back(b.last_ms);
    due.push_back(b.due_ms);
    gap.push_back(b.gap_days);
    probability.push_back(b.probability);
  }
  py::dict d;
  put(d, "item_index", take(std::move(items)), "count", take(std::move(counts)), "last", take(std::move(last)), "due", take(std::move(due)),
      "gap_days", take(std::move(gap)), "probability", take(std::move(probability)));
  return d;
}

std::shared_ptr<const ItemFacts> facts_for(const std::shared_ptr<Catalog>& catalog, const EventLog* log, const ItemFacts& before) {
  if (!catalog) return std::make_shared<const ItemFacts>(before);
  const IdMap* ids = log != nullptr ? log->columns().item_ids.get() : nullptr;
  return std::make_shared<const ItemFacts>(before.updated(*catalog, ids));
}

ProfileOptions profile_options(const py::dict& d) {
  auto o = options_from_dict<ProfileOptions>(d);
  if (d.contains("roles") && !d["roles"].is_none())
    for (const auto& [name, role] : py::dict(d["roles"])) {
      py::dict one;
      one["roles"] = role;
      set_option(one, "roles", o.roles[py::str(name)]);
    }
  o.validate();
  return o;
}

void bind_profile(py::module_& m) {
  py::class_<Profiles, std::shared_ptr<Profiles>> profiles(m, "Profiles", "The compiled part of etalage.profile.Profiles.");
  profiles
      .def(py::init([](const py::dict& options) { return std::make_shared<Profiles>(nullptr, profile_options(options)); }), py::arg("options"))
      .def("copy", [](const Profiles& p) { return std::make_shared<Profiles>(p); })
      .def("shared", [](const std::shared_ptr<Profiles>& p) { return p.use_count() > 2; },
           "Whether anybody but the Python object (and this very call) holds these profiles: a snapshot, a call that runs.")
      .def("set_catalog",
           [](Profiles& p, const std::shared_ptr<Catalog>& catalog, const EventLog* log) {
             const IdMap* ids = log != nullptr ? log->columns().item_ids.get() : p.item_ids().get();
             p.set_facts(std::make_shared<const ItemFacts>(p.facts().updated(*catalog, ids)));
           },
           py::arg("catalog"), py::arg("log").none(true))
      .def("add",
           [](Profiles& p, const EventLog& log, int num_threads) {
             const py::gil_scoped_release release;
             p.add(log, num_threads);
           },
           py::arg("log"), py::arg("num_threads") = 0)
      .def("observe",
           [](Profiles& p, std::int32_t user, std::int32_t item, const std::string& event, std::int64_t time_ms, float value) {
             const std::vector<std::string> name{event};
             p.observe(user, {item, p.options().roles_of(name)[0], time_ms, value});
           },
           py::arg("user"), py::arg("item"), py::arg("event"), py::arg("time_ms"), py::arg("value") = 1.0f)
      .def("__len__", &Profiles::size)
      .def_property_readonly("newest_ms", &Profiles::newest_ms)
      .def_property_readonly("user_ids", [](const Profiles& p) { return std::const_pointer_cast<IdMap>(p.user_ids()); })
      .def_property_readonly("item_ids", [](const Profiles& p) { return std::const_pointer_cast<IdMap>(p.item_ids()); })
      .def("user",
           [](const Profiles& p, std::int32_t user, std::int64_t now_ms) { return profile_fields(p.at(user), p.facts(), p.options(), now_ms); },
           py::arg("user"), py::arg("now_ms"))
      .def("table", &table, py::arg("now_ms"))
      .def("buy_again",
           [](const Profiles& p, std::int32_t user, std::int64_t now_ms, std::size_t k, double horizon_days) {
             return due_fields(p.buy_again(user, now_ms, k, horizon_days));
           },
           py::arg("user"), py::arg("now_ms"), py::arg("k"), py::arg("horizon_days"))
      .def("segments",
           [](const Profiles& p, std::int64_t now_ms) {
             py::dict d;
             const auto sizes = p.segment_sizes(now_ms);
             for (std::size_t i = 0; i < sizes.size(); ++i) d[py::str(std::string(lifecycle_name(static_cast<Lifecycle>(i))))] = sizes[i];
             return d;
           },
           py::arg("now_ms"))
      .def("append",
           [](Profiles& p, const Profiles& others) {
             const py::gil_scoped_release release;
             p.append(others);
           },
           py::arg("others"))
      .def("set_ids", [](Profiles& p, const std::shared_ptr<IdMap>& users, const std::shared_ptr<IdMap>& items) { p.set_ids(users, items); },
           py::arg("user_ids").none(true), py::arg("item_ids").none(true))
      .def("merge", &Profiles::merge, py::arg("from_user"), py::arg("to_user"))
      .def("erase", &Profiles::erase, py::arg("user"));
  bind_files<Profiles>(profiles, [](const auto& p, LoadOptions o) { return load_profiles(p, o); },
                       [](auto b, LoadOptions o) { return load_profiles_from_memory(b, o); });
}

}  // namespace etalage::python
