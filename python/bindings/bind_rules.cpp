// SPDX-License-Identifier: Apache-2.0
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "etalage/serving/catalog_index.hpp"
#include "etalage/serving/predicate.hpp"
#include "etalage/serving/rules.hpp"
#include "given.hpp"
#include "numpy_helpers.hpp"
#include "text_lists.hpp"

namespace etalage::python {
namespace {

using Bound = Given<std::optional<double>>;

/// The arguments one by one, those of a list or an array in its place.
template <class Take>
void each_of(const py::args& values, const Take& take) {
  for (const py::handle v : values) {
    if (py::isinstance<py::str>(v) || py::isinstance<py::bytes>(v) || !py::hasattr(v, "__len__")) take(v);
    else for (const py::handle inner : v) take(inner);
  }
}

/// Keys as text: strings, or integers.
std::vector<std::string> product_keys(const py::args& keys) {
  std::vector<std::string> out;
  each_of(keys, [&](py::handle k) {
    if (!py::isinstance<py::str>(k) && (PyBool_Check(k.ptr()) || !PyIndex_Check(k.ptr())))
      throw py::type_error("items holds " + describe(k) + ", must be keys: str or int");
    out.push_back(text_from(py::str(k), "items"));
  });
  return out;
}

std::vector<std::string> texts_from(const py::args& values, const char* argument) {
  std::vector<std::string> out;
  each_of(values, [&](py::handle v) {
    if (!py::isinstance<py::str>(v)) throw py::type_error(std::string(argument) + " is " + describe(v) + ", must be str");
    out.push_back(text_from(v, argument));
  });
  return out;
}

py::array_t<bool> mask_of(const ItemBitmap& bits) {
  py::array_t<bool> out(bits.size());
  bool* to = out.mutable_data();
  for (std::int32_t i = 0; i < bits.size(); ++i) to[i] = bits.contains(i);
  return out;
}

}  // namespace

void bind_rules(py::module_& m) {
  py::class_<Predicate>(m, "Filter",
                        "A condition on the products of a catalogue: leaves joined by & | ~. What a product does not say (no brand, a NaN\n"
                        "price) makes a leaf about it false and the leaf's negation true.")
      .def_static("everything", &Predicate::everything)
      .def_static("in_stock", [](const Text& place) { return Predicate::in_stock(place("place")); }, py::arg("place") = "",
                  "Stock is known and above 0, or the product was set available; place: where, the request's own place by default.")
      .def_static("stock",
                  [](const Bound& min, const Bound& max, const Text& place) { return Predicate::stock(min("min"), max("max"), place("place")); }, py::kw_only(),
                  py::arg("min") = py::none(), py::arg("max") = py::none(), py::arg("place") = "",
                  "Bounds included.")
      .def_static("price",
                  [](const Bound& min, const Bound& max, const Text& place) { return Predicate::price(min("min"), max("max"), place("place")); }, py::kw_only(),
                  py::arg("min") = py::none(), py::arg("max") = py::none(), py::arg("place") = "",
                  "Bounds included.")
      .def_static("known_stock", [](const Text& place) { return Predicate::known_stock(place("place")); }, py::arg("place") = "")
      .def_static("known_price", [](const Text& place) { return Predicate::known_price(place("place")); }, py::arg("place") = "")
      .def_static("offered", [](const Text& place) { return Predicate::offered(place("place")); }, py::arg("place") = "", "Was not set unavailable by Engine.set_available(), whatever its stock.")
      .def_static(
          "category",
          [](const Given<TextOrTexts>& path) {
            auto names = text_or_texts(path.object, "path", "a path like 'Home/Kitchen' or a list of names from the root");
            if (const auto* text = std::get_if<std::string>(&names)) return Predicate::category(std::string_view(*text));
            return Predicate::category(std::get<std::vector<std::string>>(std::move(names)));
          },
          py::arg("path"), "'Home/Kitchen': it and what is below it. Or a list of names from the root, for names that hold a slash.")
      .def_static("brand", [](const py::args& a) { return Predicate::brand(texts_from(a, "brand")); }, "Any of the brands.")
      .def_static("tag", [](const py::args& a) { return Predicate::tag(texts_from(a, "tag")); }, "Any of the tags.")
      .def_static("attribute", [](const Text& name, const py::args& a) { return Predicate::attribute(name("name"), texts_from(a, "attribute")); },
                  py::arg("name"), "Any of the tags 'name:value'.")
      .def_static("region", [](const Text& region) { return Predicate::region(region("region")); }, py::arg("region"), "Has the tag 'region:<region>', or no tag 'region:...' at all.")
      .def_static("age", [](const Count& age) { return Predicate::age(age("age")); }, py::arg("age"), "No tag 'age:N' with N above this shopper's age.")
      .def_static("items", [](const py::args& a) { return Predicate::items(product_keys(a)); }, "Products by key.")
      .def_static("from_json", [](const Text& json) { return Predicate::from_json(json("json")); }, py::arg("json"),
                  "ValueError names the place of a mistake.")
      .def("to_json", &Predicate::to_json, "In one canonical form: equal texts mean equal filters.")
      .def("__and__", [](const Predicate& a, const Predicate& b) { return a & b; }, py::arg("other"))
      .def("__or__", [](const Predicate& a, const Predicate& b) { return a | b; }, py::arg("other"))
      .def("__invert__", [](const Predicate& a) { return ~a; })
      .def("__eq__", [](const Predicate& a, const py::object& b) { return py::isinstance<Predicate>(b) && a == b.cast<Predicate>(); }, py::arg("other"))
      .def("__hash__", [](const Predicate& a) { return py::hash(py::str(a.to_json())); })
      .def("__repr__", [](const Predicate& a) { return "Filter(" + a.to_json() + ")"; })
      .def(py::pickle([](const Predicate& a) { return a.to_json(); }, [](const std::string& json) { return Predicate::from_json(json); }));

  py::class_<CatalogIndex, std::shared_ptr<CatalogIndex>>(
      m, "CatalogIndex", "One version of a catalogue, made ready for filters and rules. Compiled filters are cached up to cache_bytes.")
      .def(py::init([](const std::shared_ptr<Catalog>& catalog, const Given<std::size_t>& cache_bytes) {
             const CatalogIndexOptions options{cache_bytes("cache_bytes")};
             const py::gil_scoped_release release;
             return std::make_shared<CatalogIndex>(catalog, options);
           }),
           py::arg("catalog"), py::kw_only(), py::arg("cache_bytes") = CatalogIndexOptions{}.cache_bytes)
      .def("__len__", &CatalogIndex::size)
      .def_property_readonly("version", &CatalogIndex::version)
      .def("mask", [](const CatalogIndex& c, const Predicate& p) { return mask_of(c.filter(p)->bits); }, py::arg("filter"), "bool [n].")
      .def("items", [](const CatalogIndex& c, const Predicate& p) { return take(c.filter(p)->bits.items()); }, py::arg("filter"),
           "int32, the rows that the filter holds for, ascending.")
      .def("count", [](const CatalogIndex& c, const Predicate& p) { return c.filter(p)->count; }, py::arg("filter"))
      .def("item_filter", [](const CatalogIndex& c, const Predicate& p) { return std::make_shared<ItemFilter>(c.filter(p)->filter); },
           py::arg("filter"), "An ItemFilter for indexes whose ids are rows of this catalogue.")
      .def("groups",
           [](const CatalogIndex& c, const Text& by) {
             const auto g = c.groups(by("by"));
             return py::make_tuple(take(std::vector<std::int32_t>(g->codes)), g->names);
           },
           py::arg("by"), "(int32 [n] group of each product or -1, names of the groups); by: 'brand', 'category', 'category:N', an attribute.")
      .def("unknown_names", &CatalogIndex::unknown_names, py::arg("filter"), "What the filter names and this catalogue does not have.")
      .def("find", [](const CatalogIndex& c, const py::object& key) { return c.find(py::str(key).cast<std::string>()); }, py::arg("key"), "Row of a key, -1 unknown.")
      .def_property_readonly("cache", [](const CatalogIndex& c) {
        const auto s = c.cache_stats();
        py::dict d;
        put(d, "entries", s.entries, "bytes", s.bytes, "hits", s.hits, "misses", s.misses);
        return d;
      });

  py::class_<Rules>(m, "Rules", "A shop's rules; docs/rules.md has the schema and the precedence.")
      .def(py::init([](const std::string& json) { return Rules::from_json(json); }), py::arg("json"))
      .def("to_json", &Rules::to_json)
      .def("validate",
           [](const Rules& r, const CatalogIndex* catalog) {
             std::vector<std::string> out;
             for (const RuleIssue& i : r.validate(catalog)) out.push_back(i.message);
             return out;
           },
           py::arg("catalog") = py::none(), "Contradictions, and with a catalogue what it makes of the rules: a list of messages.")
      .def("__len__", &Rules::size);

  m.def("align_catalog",
        [](const Catalog& catalog, const IdMap& item_ids) { return std::make_shared<Catalog>(align_catalog(catalog, item_ids)); },
        py::arg("catalog"), py::arg("item_ids"));
  m.def("category_paths", &category_paths, py::arg("parents"),
        "For each category its path from the root, from a dict of parents; a cycle is a ValueError that spells it out.");
}

}  // namespace etalage::python
