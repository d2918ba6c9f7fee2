// SPDX-License-Identifier: Apache-2.0
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "etalage/io/lifetime_files.hpp"
#include "etalage/marketing/bg_bb.hpp"
#include "etalage/marketing/customer_value.hpp"
#include "etalage/marketing/gamma_gamma.hpp"
#include "etalage/marketing/lifetime.hpp"
#include "etalage/marketing/purchase_summaries.hpp"
#include "file_helpers.hpp"
#include "numpy_helpers.hpp"
#include "option_fields.hpp"
#include "profile_helpers.hpp"

namespace etalage::python {
namespace {

using Column = py::array_t<double, py::array::c_style>;

constexpr std::initializer_list<std::pair<const char*, LifetimeKind>> kKinds{
    {"BG/NBD", LifetimeKind::kBgNbd}, {"MBG/NBD", LifetimeKind::kMbgNbd}, {"Pareto/NBD", LifetimeKind::kParetoNbd}, {"MBG/CNBD-k", LifetimeKind::kMbgCnbd}};
constexpr std::initializer_list<std::pair<const char*, LifetimeQuantity>> kQuantities{{"alive", LifetimeQuantity::kAlive},
                                                                                      {"purchases", LifetimeQuantity::kPurchases},
                                                                                      {"money", LifetimeQuantity::kMoney},
                                                                                      {"value", LifetimeQuantity::kValue}};

std::span<const double> view(const Column& c) { return {c.data(), static_cast<std::size_t>(c.size())}; }

Column column(const py::object& value, const char* name) { return from_numpy<double>(value, name, 1); }
Column column_or_none(const py::object& value, const char* name) { return value.is_none() ? Column(0) : column(value, name); }

py::dict fit_fields(const ParameterFit& f) {
  const auto d = static_cast<py::ssize_t>(f.values.size());
  py::dict out;
  put(out, "names", f.names, "values", f.values, "standard_errors", f.standard_errors(),
      "covariance", take(std::vector<double>(f.covariance), {d, d}), "at_bound", f.at_bound, "log_likelihood", f.log_likelihood,
      "gradient", f.gradient, "iterations", f.iterations, "converged", f.converged, "customers", f.customers, "distinct", f.distinct);
  return out;
}

py::dict summary_fields(PurchaseSummaries&& s) {
  py::dict out;
  put(out, "customer", take(std::move(s.customers)), "frequency", take(std::move(s.frequency)), "recency", take(std::move(s.recency)),
      "T", take(std::move(s.age)), "money", s.money.empty() ? py::object(py::none()) : py::object(take(std::move(s.money))),
      "log_gaps", take(std::move(s.log_gaps)), "later", s.later);
  return out;
}

}  // namespace

void bind_lifetime(py::module_& m) {
  py::class_<LifetimeModel, std::shared_ptr<LifetimeModel>> lifetime(m, "LifetimeModel", "The compiled part of the models of purchases in etalage.marketing.lifetime.");
  lifetime
      .def(py::init([](const std::string& kind, const py::dict& options) {
             LifetimeKind k{};
             py::dict one;
             one["kind"] = kind;
             set_choice(one, "kind", k, kKinds);
             return std::make_shared<LifetimeModel>(k, options_from_dict<LifetimeOptions>(options));
           }),
           py::arg("kind"), py::arg("options"))
      .def_property_readonly("kind", [](const LifetimeModel& model) { return std::string(lifetime_name(model.kind())); })
      .def_property_readonly("options", [](const LifetimeModel& model) { return options_to_dict(model.options()); })
      .def_property_readonly("fitted", &LifetimeModel::fitted)
      .def_property_readonly("k", &LifetimeModel::k)
      .def_property_readonly("log_likelihood_of_k",
                             [](const LifetimeModel& model) { return std::vector<double>(model.log_likelihood_of_k().begin(), model.log_likelihood_of_k().end()); })
      .def_property_readonly("fit_report", [](const LifetimeModel& model) { return fit_fields(model.parameters()); })
      .def("fit",
           [](LifetimeModel& model, const py::object& frequency, const py::object& recency, const py::object& age, const py::object& log_gaps,
              const py::object& weights) {
             const Column x = column(frequency, "frequency");
             const Column tx = column(recency, "recency");
             const Column t = column(age, "T");
             const Column g = column_or_none(log_gaps, "log_gaps");
             const Column w = column_or_none(weights, "weights");
             const py::gil_scoped_release release;
             model.fit({view(x), view(tx), view(t), view(g), view(w)});
           },
           py::arg("frequency"), py::arg("recency"), py::arg("T"), py::arg("log_gaps") = py::none(), py::arg("weights") = py::none())
      .def("set_parameters", [](LifetimeModel& model, const std::vector<double>& values) { model.set_parameters(values); }, py::arg("values"));
  bind_files<LifetimeModel>(lifetime, [](const auto& p, LoadOptions o) { return load_lifetime_model(p, o); },
                            [](auto b, LoadOptions o) { return load_lifetime_model_from_memory(b, o); });

  py::class_<GammaGamma, std::shared_ptr<GammaGamma>> gamma(m, "GammaGamma", "The compiled part of etalage.marketing.lifetime.GammaGamma.");
  gamma
      .def(py::init([](const py::dict& options) { return std::make_shared<GammaGamma>(options_from_dict<GammaGammaOptions>(options)); }),
           py::arg("options"))
      .def_property_readonly("options", [](const GammaGamma& model) { return options_to_dict(model.options()); })
      .def_property_readonly("fitted", &GammaGamma::fitted)
      .def_property_readonly("fit_report", [](const GammaGamma& model) { return fit_fields(model.parameters()); })
      .def("fit",
           [](GammaGamma& model, const py::object& frequency, const py::object& money) {
             const Column x = column(frequency, "frequency");
             const Column v = column(money, "money");
             const py::gil_scoped_release release;
             model.fit(view(x), view(v));
           },
           py::arg("frequency"), py::arg("money"))
      .def("set_parameters", [](GammaGamma& model, const std::vector<double>& values) { model.set_parameters(values); }, py::arg("values"));
  bind_files<GammaGamma>(gamma, [](const auto& p, LoadOptions o) { return load_gamma_gamma(p, o); },
                         [](auto b, LoadOptions o) { return load_gamma_gamma_from_memory(b, o); });

  py::class_<BgBb, std::shared_ptr<BgBb>> discrete(m, "BgBb", "The compiled part of etalage.marketing.lifetime.BGBB.");
  discrete
      .def(py::init([](const py::dict& options) { return std::make_shared<BgBb>(options_from_dict<BgBbOptions>(options)); }),
           py::arg("options"))
      .def_property_readonly("options", [](const BgBb& model) { return options_to_dict(model.options()); })
      .def_property_readonly("fitted", &BgBb::fitted)
      .def_property_readonly("fit_report", [](const BgBb& model) { return fit_fields(model.parameters()); })
      .def("fit",
           [](BgBb& model, const py::object& frequency, const py::object& recency, const py::object& n, const py::object& weights) {
             const Column x = column(frequency, "frequency");
             const Column tx = column(recency, "recency");
             const Column all = column(n, "n");
             const Column w = column_or_none(weights, "weights");
             const py::gil_scoped_release release;
             model.fit({view(x), view(tx), view(all)}, view(w));
           },
           py::arg("frequency"), py::arg("recency"), py::arg("n"), py::arg("weights") = py::none())
      .def("set_parameters", [](BgBb& model, const std::vector<double>& values) { model.set_parameters(values); }, py::arg("values"))
      .def("expected_purchases",
           [](const BgBb& model, double periods, const py::object& frequency, const py::object& recency, const py::object& n) {
             const Column x = column(frequency, "frequency");
             const Column tx = column(recency, "recency");
             const Column all = column(n, "n");
             std::vector<double> out(static_cast<std::size_t>(x.size()));
             {
               const py::gil_scoped_release release;
               model.expected_purchases(periods, {view(x), view(tx), view(all)}, out);
             }
             return take(std::move(out));
           },
           py::arg("m"), py::arg("frequency"), py::arg("recency"), py::arg("n"))
      .def("p_alive",
           [](const BgBb& model, const py::object& frequency, const py::object& recency, const py::object& n) {
             const Column x = column(frequency, "frequency");
             const Column tx = column(recency, "recency");
             const Column all = column(n, "n");
             std::vector<double> out(static_cast<std::size_t>(x.size()));
             {
               const py::gil_scoped_release release;
               model.p_alive({view(x), view(tx), view(all)}, out);
             }
             return take(std::move(out));
           },
           py::arg("frequency"), py::arg("recency"), py::arg("n"));
  bind_files<BgBb>(discrete, [](const auto& p, LoadOptions o) { return load_bg_bb(p, o); }, [](auto b, LoadOptions o) { return load_bg_bb_from_memory(b, o); });

  m.def(
      "customer_values",
      [](const std::string& quantity, const LifetimeModel* purchases, const GammaGamma* money_model, const py::object& frequency, const py::object& recency,
         const py::object& age, const py::object& money, const py::dict& options, bool interval) {
        LifetimeQuantity q{};
        py::dict one;
        one["quantity"] = quantity;
        set_choice(one, "quantity", q, kQuantities);
        const CustomerValueOptions o = options_from_dict<CustomerValueOptions>(options);
        const Column x = column(frequency, "frequency");
        const Column tx = column_or_none(recency, "recency");
        const Column t = column_or_none(age, "T");
        const Column v = column_or_none(money, "money");
        const PurchaseHistories histories{view(x), view(tx), view(t), {}};
        std::vector<double> out(static_cast<std::size_t>(x.size()));
        std::vector<double> low(interval ? out.size() : 0);
        std::vector<double> high(low.size());
        {
          const py::gil_scoped_release release;
          customer_values(q, purchases, money_model, histories, view(v), o, out);
          if (interval) customer_value_intervals(q, purchases, money_model, histories, view(v), o, low, high);
        }
        return py::make_tuple(take(std::move(out)), take(std::move(low)), take(std::move(high)));
      },
      py::arg("quantity"), py::arg("purchases").none(true), py::arg("money_model").none(true), py::arg("frequency"), py::arg("recency"), py::arg("T"),
      py::arg("money"), py::arg("options"), py::arg("interval"));

  m.def(
      "summarize_purchases",
      [](const py::object& customers, const py::object& times, const py::object& values, std::optional<double> until, double unit) {
        const auto c = from_numpy<std::int32_t>(customers, "customers", 1);
        const Column t = column(times, "times");
        const Column v = column_or_none(values, "values");
        PurchaseSummaries s;
        {
          const py::gil_scoped_release release;
          s = summarize_purchases({c.data(), static_cast<std::size_t>(c.size())}, view(t), view(v), until, unit);
        }
        return summary_fields(std::move(s));
      },
      py::arg("customers"), py::arg("times"), py::arg("values"), py::arg("until"), py::arg("unit"));
  m.def(
      "summarize_log",
      [](const EventLog& log, const std::vector<std::string>& events, std::optional<std::int64_t> until_ms, double unit_days, std::int32_t utc_offset_minutes) {
        PurchaseSummaries s;
        {
          const py::gil_scoped_release release;
          s = summarize_purchases(log, PurchaseSummaryOptions{events, until_ms, unit_days, utc_offset_minutes});
        }
        return summary_fields(std::move(s));
      },
      py::arg("log"), py::arg("events"), py::arg("until_ms"), py::arg("unit_days"), py::arg("utc_offset_minutes"));
}

}  // namespace etalage::python
