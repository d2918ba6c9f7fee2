// SPDX-License-Identifier: Apache-2.0
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "etalage/core/arrow.hpp"
#include "etalage/core/catalog.hpp"
#include "data_helpers.hpp"
#include "given.hpp"
#include "id_map_helpers.hpp"
#include "numpy_helpers.hpp"
#include "one_key.hpp"

namespace etalage::python {
namespace {

/// None, NaN, NaT and pandas' NA: what stands for a missing cell.
bool is_gap(py::handle v) { return v.is_none() || py::module_::import("etalage._frames").attr("_missing")(v).cast<bool>(); }

/// A cell as text: str, bytes in UTF-8, or what else there is as str() says it. ValueError names the row and the column.
std::string cell(py::handle v, const char* column, std::size_t row) {
  const auto refuse = [&](const std::string& what) {
    throw std::invalid_argument("row " + std::to_string(row) + ": " + column + " " + what);
  };
  if (py::isinstance<py::bytes>(v)) {
    const auto text = py::reinterpret_steal<py::object>(PyUnicode_FromEncodedObject(v.ptr(), "utf-8", "strict"));
    if (text) return text.cast<std::string>();
    PyErr_Clear();
    refuse("is " + std::string(py::repr(v)) + " (bytes), must be valid UTF-8");
  }
  const py::str text(v);
  Py_ssize_t size = 0;
  const char* utf8 = PyUnicode_AsUTF8AndSize(text.ptr(), &size);
  if (utf8 == nullptr) {
    PyErr_Clear();
    refuse("is text with a lone surrogate, must be valid Unicode");
  }
  return {utf8, static_cast<std::size_t>(size)};
}

std::vector<std::string> texts(const py::object& values, const char* column) {
  std::vector<std::string> out;
  if (values.is_none()) return out;
  // What a masked array hides is None in its list.
  const py::object list = py::hasattr(values, "mask") ? values.attr("tolist")() : values;
  for (const py::handle v : list) out.push_back(is_gap(v) ? std::string() : cell(v, column, out.size()));
  return out;
}

std::vector<std::vector<std::string>> lists(const py::object& values, const char* column) {
  std::vector<std::vector<std::string>> out;
  if (values.is_none()) return out;
  for (const py::handle v : values) {
    const std::size_t row = out.size();
    std::vector<std::string>& list = out.emplace_back();
    if (is_gap(v)) continue;
    if (py::isinstance<py::str>(v) || py::isinstance<py::bytes>(v) || !py::isinstance<py::iterable>(v)) {  // a path of one, such as a category's number
      list.push_back(cell(v, column, row));
      continue;
    }
    for (const py::handle word : v)
      if (!is_gap(word)) list.push_back(cell(word, column, row));
  }
  return out;
}

Array<float> numbers(const py::object& values, const char* name, int ndim) {
  if (values.is_none()) return {};
  return kept(from_numpy<float>(values, name, ndim));
}

void add_vectors(Catalog::Columns& c, const py::object& vectors) {
  if (vectors.is_none()) return;
  const auto v = from_numpy<float>(vectors, "vectors", 2);
  c.vectors = numbers(v, "vectors", 2);
  c.dim = static_cast<std::int32_t>(v.shape(1));
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
  py::class_<Catalog, std::shared_ptr<Catalog>>(m, "Catalog", py::dynamic_attr(), "What the shop knows about its products, one row a product.")
      .def(py::init([](const py::object& item_ids, const py::object& names, const py::object& categories, const py::object& brands,
                       const py::object& prices, const py::object& stock, const py::object& tags, const py::object& texts_,
                       const py::object& vectors) {
             Catalog::Columns c;
             c.item_ids = id_map_from_keys(item_ids, "item_ids");
             c.names = texts(names, "names");
             c.categories = lists(categories, "categories");
             c.brands = texts(brands, "brands");
             c.prices = numbers(prices, "prices", 1);
             c.stock = numbers(stock, "stock", 1);
             c.tags = lists(tags, "tags");
             c.texts = texts(texts_, "texts");
             add_vectors(c, vectors);
             return std::make_shared<Catalog>(std::move(c));
           }),
           py::arg("item_ids"), py::kw_only(), py::arg("names") = py::none(), py::arg("categories") = py::none(),
           py::arg("brands") = py::none(), py::arg("prices") = py::none(), py::arg("stock") = py::none(), py::arg("tags") = py::none(),
           py::arg("texts") = py::none(), py::arg("vectors") = py::none(),
           "Columns of one length, or None: keys (unique strings or integers), names, category paths and tags (lists of str),\n"
           "brands, prices and stock (>= 0, NaN unknown), texts, vectors float32 [n, dim].")
      .def_static(
          "from_frame",
          [](const py::object& frame, const Text& item, const MaybeText& name, const MaybeText& category, const MaybeText& brand,
             const MaybeText& price, const MaybeText& stock, const MaybeText& tags, const MaybeText& text, const py::object& vectors,
             const Text& category_separator, const Text& tag_separator) {
            const CatalogColumns given{item("item"), name("name"), category("category"), brand("brand"), price("price"), stock("stock"), tags("tags"),
                                       text("text"), category_separator("category_separator"), tag_separator("tag_separator")};
            std::vector<std::string> names{given.item};
            for (const auto* n : {&given.name, &given.category, &given.brand, &given.price, &given.stock, &given.tags, &given.text})
              if (*n) names.push_back(**n);
            Catalog::Columns c;
            read_frame(frame, names, false, [&](ArrowArrayStream* stream, std::span<const UnreadableCell> unreadable) {
              c = read_catalog(stream, given, unreadable);
            });
            add_vectors(c, vectors);
            return std::make_shared<Catalog>(std::move(c));
          },
          py::arg("frame"), py::arg("item") = "item", py::arg("name") = py::none(), py::arg("category") = py::none(),
          py::arg("brand") = py::none(), py::arg("price") = py::none(), py::arg("stock") = py::none(), py::arg("tags") = py::none(),
          py::arg("text") = py::none(), py::arg("vectors") = py::none(), py::arg("category_separator") = ">", py::arg("tag_separator") = "|",
          "Products of a frame, of any maker as for EventLog.from_frame. The arguments name its columns; keys are read as those of\n"
          "events are; category paths and tags are lists, single numbers, or text cut at the separators, and missing cells of a\n"
          "list are left out; prices and stock are numbers or text of numbers >= 0, missing or NaN where unknown; vectors is an\n"
          "array [n, dim]. A key may occur once. ValueError names row, column, value and rule.")
      .def_static(
          "from_events",
          [](const py::object& frame, const Text& item, const MaybeText& name, const MaybeText& category, const MaybeText& brand, const MaybeText& price,
             const MaybeText& stock, const MaybeText& tags, const MaybeText& text, const MaybeText& time, const Text& keep, const Text& category_separator,
             const Text& tag_separator) {
            py::dict columns;
            put(columns, "name", name("name"), "category", category("category"), "brand", brand("brand"), "price", price("price"), "stock", stock("stock"),
                "tags", tags("tags"), "text", text("text"));
            return py::module_::import("etalage._catalogs").attr("from_events")(frame, item("item"), columns, time("time"), keep("keep"),
                                                                                category_separator("category_separator"), tag_separator("tag_separator"));
          },
          py::arg("frame"), py::arg("item") = "item", py::arg("name") = py::none(), py::arg("category") = py::none(),
          py::arg("brand") = py::none(), py::arg("price") = py::none(), py::arg("stock") = py::none(), py::arg("tags") = py::none(),
          py::arg("text") = py::none(), py::arg("time") = py::none(), py::arg("keep") = "most frequent",
          py::arg("category_separator") = ">", py::arg("tag_separator") = "|",
          "A catalogue made from event or invoice lines, where a product occurs many times: of each column the 'most frequent' value of\n"
          "a key (ties: the newest), or the 'newest' one; newest is by the column `time`, else by the order of the lines. Text is\n"
          "stripped; missing, empty and negative values are passed over. Products are in order of first appearance. Other arguments as\n"
          "in from_frame. conflicts says how many products had several values.")
      .def_property_readonly("conflicts", [](const py::object& self) { return py::getattr(self, "_conflicts", py::none()); },
                             "{argument: number of products with more than one value} of from_events(); None of other catalogues.")
      .def("__len__", &Catalog::size)
      .def_property_readonly("item_ids", [](const Catalog& c) { return keys_to_numpy(*c.item_ids()); })
      .def("item_index", [](const Catalog& c, const py::object& keys) { return index_or_one(*c.item_ids(), keys, "item_ids"); },
           py::arg("keys"), "int32 [n], -1 for unknown keys; one key gives one int32. ValueError for keys of the other kind.")
      .def("name", [](const Catalog& c, const Given<std::int32_t>& index) { return c.name(index("index")); }, py::arg("index"), "The product's name, or its key as text.")
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
