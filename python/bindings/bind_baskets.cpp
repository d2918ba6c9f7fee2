// SPDX-License-Identifier: Apache-2.0
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstdint>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "etalage/marketing/association_rules.hpp"
#include "etalage/marketing/frequent_sets.hpp"
#include "numpy_helpers.hpp"

namespace etalage::python {
namespace {

template <class T>
std::span<const T> view(const py::array_t<T, py::array::c_style>& a) {
  return {a.data(), static_cast<std::size_t>(a.size())};
}

template <class T>
std::vector<T> copy_of(const py::object& value, const char* name) {
  const auto a = from_numpy<T>(value, name, 1);
  return {a.data(), a.data() + a.size()};
}

}  // namespace

void bind_baskets(py::module_& m) {
  m.def(
      "frequent_sets",
      [](const py::object& offsets, const py::object& items, std::optional<double> min_support, std::int64_t min_count, std::int32_t max_length, std::int64_t max_sets,
         int num_threads) {
        const auto o = from_numpy<std::int64_t>(offsets, "offsets", 1);
        const auto i = from_numpy<std::int32_t>(items, "items", 1);
        FrequentSetOptions options{min_count, max_length, max_sets, num_threads};
        const std::uint64_t baskets = o.size() > 0 ? static_cast<std::uint64_t>(o.size() - 1) : 0;
        if (min_support) {
          const Share share = Share::of(*min_support, "min_support");
          if (share.numerator == 0) throw std::invalid_argument("min_support is 0, must be in (0, 1] or a whole number of baskets");
          options.min_count = std::max<std::int64_t>(1, static_cast<std::int64_t>(share.smallest_part(baskets)));
        }
        FrequentSets sets;
        {
          const py::gil_scoped_release release;
          sets = frequent_sets(view(o), view(i), options);
        }
        py::dict d;
        d["offsets"] = take(std::move(sets.offsets));
        d["items"] = take(std::move(sets.items));
        d["counts"] = take(std::move(sets.counts));
        d["baskets"] = sets.baskets;
        return d;
      },
      py::arg("offsets"), py::arg("items"), py::arg("min_support"), py::arg("min_count"), py::arg("max_length"), py::arg("max_sets"), py::arg("num_threads"));
  m.def(
      "association_rules",
      [](const py::object& offsets, const py::object& items, const py::object& counts, std::int64_t baskets, double min_confidence, std::int32_t max_consequent,
         int num_threads) {
        FrequentSets sets;
        sets.offsets = copy_of<std::int64_t>(offsets, "offsets");
        sets.items = copy_of<std::int32_t>(items, "items");
        sets.counts = copy_of<std::int64_t>(counts, "counts");
        sets.baskets = baskets;
        RuleOptions options{Share::of(min_confidence, "min_confidence"), max_consequent, num_threads};
        AssociationRules rules;
        {
          const py::gil_scoped_release release;
          rules = association_rules(sets, options);
        }
        py::dict d;
        put(d, "set", take(std::move(rules.set)), "antecedent", take(std::move(rules.antecedent)),
            "consequent", take(std::move(rules.consequent)), "p_value", take(std::move(rules.p_value)),
            "q_value", take(std::move(rules.q_value)), "log_likelihood_ratio", take(std::move(rules.log_likelihood_ratio)),
            "tested", rules.tested);
        return d;
      },
      py::arg("offsets"), py::arg("items"), py::arg("counts"), py::arg("baskets"), py::arg("min_confidence"), py::arg("max_consequent"), py::arg("num_threads"));
  m.def(
      "pair_tests",
      [](const py::object& both, const py::object& a, const py::object& b, std::int64_t baskets) {
        const auto x = from_numpy<std::int64_t>(both, "both", 1);
        const auto na = from_numpy<std::int64_t>(a, "a", 1);
        const auto nb = from_numpy<std::int64_t>(b, "b", 1);
        if (na.size() != x.size() || nb.size() != x.size()) throw std::invalid_argument("both, a and b must have one length");
        std::vector<double> more, fewer, ratio;
        for (py::ssize_t i = 0; i < x.size(); ++i) {
          const PairCounts c{x.data()[i], na.data()[i], nb.data()[i], baskets};
          more.push_back(fisher_more(c));
          fewer.push_back(fisher_fewer(c));
          ratio.push_back(log_likelihood_ratio(c));
        }
        return py::make_tuple(take(std::move(more)), take(std::move(fewer)), take(std::move(ratio)));
      },
      py::arg("both"), py::arg("a"), py::arg("b"), py::arg("baskets"), "Fisher's p for more and for fewer together than by chance, and the signed log-likelihood ratio.");
  m.def("benjamini_hochberg", [](const py::object& p) { return take(benjamini_hochberg(view(from_numpy<double>(p, "p_values", 1)))); }, py::arg("p_values"));
}

}  // namespace etalage::python
