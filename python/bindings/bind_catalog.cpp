// SPDX-License-Identifier: Apache-2.0
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "etalage/core/catalog.hpp"
#include "id_map_helpers.hpp"
#include "numpy_helpers.hpp"

namespace etalage::python {
namespace {

std::vector<std::string> texts(const py::object& values) {
  std::vector<std::string> out;
  if (values.is_none()) return out;
  for (const py::handle v : values) out.push_back(v.is_none() ? std::string() : py::str(v).cast<std::string>());
  return out;
}

std::vector<std::vector<std::string>> lists(const py::object& values) {
  std::vector<std::vector<std::string>> out;
  if (values.is_none()) return out;
  for (const py::handle v : values) out.push_back(texts(py::reinterpret_borrow<py::object>(v)));
  return out;
}

Array<float> numbers(const py::object& values, const char* name, int ndim) {
  if (values.is_none()) return {};
  const auto a = from_numpy<float>(values, name, ndim);
  return Array<float>(std::span<const float>(a.data(), static_cast<std::size_t>(a.size())));
}

template <class F>
py::list each(const Catalog& c, F f) {
  py::list out;
  for (std::int32_t i = 0; i < c.size(); ++i) out.append(f(i));
  return out;
}

py::tuple tuple_of(std::span<const std::string> words) {
  py::tuple out(words.size());
  for (std::size_t i = 0; i < words.size(); ++i) out[i] = words[i];
  return out;
}

}  // namespace

void bind_catalog(py::module_& m) {
  py::class_<Catalog, std::shared_ptr<Catalog>>(m, "Catalog", "What the shop knows about its products, one row a product.")
      .def(py::init([](const py::object& item_ids, const py::object& names, const py::object& categories, const py::object& brands,
                       const py::object& prices, const py::object& stock, const py::object& tags, const py::object& texts_,
                       const py::object& vectors) {
             Catalog::Columns c;
             c.item_ids = id_map_from_keys(item_ids, "item_ids");
             c.names = texts(names);
             c.categories = lists(categories);
             c.brands = texts(brands);
             c.prices = numbers(prices, "prices", 1);
             c.stock = numbers(stock, "stock", 1);
             c.tags = lists(tags);
             c.texts = texts(texts_);
             if (!vectors.is_none()) {
               const auto v = from_numpy<float>(vectors, "vectors", 2);
               c.vectors = numbers(v, "vectors", 2);
               c.dim = static_cast<std::int32_t>(v.shape(1));
             }
             return std::make_shared<Catalog>(std::move(c));
           }),
           py::arg("item_ids"), py::kw_only(), py::arg("names") = py::none(), py::arg("categories") = py::none(),
           py::arg("brands") = py::none(), py::arg("prices") = py::none(), py::arg("stock") = py::none(), py::arg("tags") = py::none(),
           py::arg("texts") = py::none(), py::arg("vectors") = py::none(),
           "Columns of one length, or None: keys (unique strings or integers), names, category paths and tags (lists of str),\n"
           "brands, prices and stock (>= 0, NaN unknown), texts, vectors float32 [n, dim].")
      .def_static(
          "from_frame",
          [](const py::object& frame, const std::string& item, const py::object& name, const py::object& category, const py::object& brand,
             const py::object& price, const py::object& stock, const py::object& tags, const py::object& text, const py::object& vectors,
             const std::string& category_separator, const std::string& tag_separator) {
            const py::object columns = py::module_::import("etalage._frames")
                                           .attr("catalog_columns")(frame, item, name, category, brand, price, stock, tags, text,
                                                                    category_separator, tag_separator);
            return py::type::of<Catalog>()(columns["item_ids"], py::arg("vectors") = vectors, **py::dict(columns["others"]));
          },
          py::arg("frame"), py::arg("item") = "item", py::arg("name") = py::none(), py::arg("category") = py::none(),
          py::arg("brand") = py::none(), py::arg("price") = py::none(), py::arg("stock") = py::none(), py::arg("tags") = py::none(),
          py::arg("text") = py::none(), py::arg("vectors") = py::none(), py::arg("category_separator") = ">", py::arg("tag_separator") = "|",
          "Products of a frame (polars, pyarrow, pandas, a dict of lists). The arguments name its columns; category paths and tags\n"
          "are lists, or text cut at the separators; vectors is an array [n, dim]. A key may occur once.")
      .def("__len__", &Catalog::size)
      .def_property_readonly("item_ids", [](const Catalog& c) { return keys_to_numpy(*c.item_ids()); })
      .def("item_index", [](const Catalog& c, const py::object& keys) { return find_keys(*c.item_ids(), keys, "item_ids"); },
           py::arg("keys"), "int32 [n], -1 for unknown keys.")
      .def("name", &Catalog::name, py::arg("index"), "The product's name, or its key as text.")
      .def("names_of",
           [](const Catalog& c, const py::object& keys) {
             const auto rows = find_keys(*c.item_ids(), keys, "item_ids");
             const py::list list(keys);
             py::list out;
             for (py::ssize_t i = 0; i < rows.size(); ++i)
               out.append(rows.data()[i] < 0 ? py::object(py::str(list[static_cast<std::size_t>(i)])) : py::object(py::str(c.name(rows.data()[i]))));
             return out;
           },
           py::arg("keys"), "Names of products by key; a key that is not in the catalogue stands for itself.")
      .def_property_readonly("names", [](const Catalog& c) { return each(c, [&](std::int32_t i) { return py::str(c.name(i)); }); })
      .def_property_readonly("brands", [](const Catalog& c) { return c.columns().brands; })
      .def_property_readonly("texts", [](const Catalog& c) { return c.columns().texts; })
      .def_property_readonly("categories", [](const Catalog& c) { return each(c, [&](std::int32_t i) { return tuple_of(c.category(i)); }); })
      .def_property_readonly("tags", [](const Catalog& c) { return each(c, [&](std::int32_t i) { return tuple_of(c.tags(i)); }); })
      .def_property_readonly("prices", [](const Catalog& c) { return to_numpy(c.columns().prices); }, "float32 [n], NaN unknown; empty without.")
      .def_property_readonly("stock", [](const Catalog& c) { return to_numpy(c.columns().stock); }, "float32 [n], NaN unknown; empty without.")
      .def_property_readonly("vectors",
                             [](const Catalog& c) {
                               return to_numpy(c.columns().vectors, {static_cast<py::ssize_t>(c.columns().dim == 0 ? 0 : c.size()), c.columns().dim});
                             },
                             "float32 [n, dim], read-only; (0, 0) without.")
      .def("rows_of", [](const Catalog& c, const IdMap& ids) { return take(c.rows_of(ids)); }, py::arg("ids"),
           "For each key of an IdMap the row here, -1 where unknown.")
      .def(py::pickle(
          [](const Catalog& c) {
            const Catalog::Columns& k = c.columns();
            return py::make_tuple(keys_to_numpy(*k.item_ids), k.names, k.categories, k.brands, to_numpy(k.prices), to_numpy(k.stock), k.tags,
                                  k.texts, to_numpy(k.vectors), k.dim);
          },
          [](const py::tuple& state) {
            if (state.size() != 10) throw std::invalid_argument("a Catalog's state has " + std::to_string(state.size()) + " parts, must have 10");
            const auto floats = [&](std::size_t at) {
              const auto a = state[at].cast<py::array_t<float, py::array::c_style>>();
              return Array<float>(std::span<const float>(a.data(), static_cast<std::size_t>(a.size())));
            };
            Catalog::Columns c;
            c.item_ids = id_map_from_keys(state[0], "item_ids");
            c.names = state[1].cast<std::vector<std::string>>();
            c.categories = state[2].cast<std::vector<std::vector<std::string>>>();
            c.brands = state[3].cast<std::vector<std::string>>();
            c.prices = floats(4);
            c.stock = floats(5);
            c.tags = state[6].cast<std::vector<std::vector<std::string>>>();
            c.texts = state[7].cast<std::vector<std::string>>();
            c.vectors = floats(8);
            c.dim = state[9].cast<std::int32_t>();
            return std::make_shared<Catalog>(std::move(c));
          }))
      .def("__repr__", [](const Catalog& c) { return "Catalog(" + std::to_string(c.size()) + " products)"; });
}

}  // namespace etalage::python
