// SPDX-License-Identifier: Apache-2.0
// Allocation under budgets.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "etalage/marketing/allocation.hpp"
#include "etalage/marketing/offer_prices.hpp"
#include "etalage/marketing/pacing.hpp"
#include "etalage/serving/offer_desk.hpp"
#include "etalage/serving/spend_ledger.hpp"
#include "engine_handle.hpp"
#include "numpy_helpers.hpp"
#include "span_helpers.hpp"

namespace etalage::python {

namespace {

/// choose(values [offers], costs [offers x budgets]) for each request; int32 [requests].
template <class Choose>
py::object for_requests(const py::object& values, const py::object& costs, const Choose& choose) {
  const auto v = from_numpy<double>(values, "values", 2);
  const auto c = from_numpy<double>(costs, "costs", 3);
  if (c.shape(0) != v.shape(0) || c.shape(1) != v.shape(1)) throw std::invalid_argument("costs must be [requests, offers, budgets] for values [requests, offers]");
  const auto n = static_cast<std::size_t>(v.shape(0)), offers = static_cast<std::size_t>(v.shape(1)), width = offers * static_cast<std::size_t>(c.shape(2));
  std::vector<std::int32_t> out(n);
  {
    const py::gil_scoped_release release;
    for (std::size_t i = 0; i < n; ++i) out[i] = choose(span_of(v).subspan(i * offers, offers), span_of(c).subspan(i * width, width));
  }
  return take(std::move(out));
}

/// A desk and the engine that it asks, which may be closed before it.
struct DeskHandle {
  DeskHandle(const py::object& engine, std::string plan, const std::filesystem::path& folder, std::vector<std::int64_t> budgets, std::int64_t block)
      : engine(engine), desk(*engine.cast<const EngineHandle&>().use(), std::move(plan), open(folder, std::move(budgets), block)) {}

  std::int32_t decide(const py::object& values, const py::object& costs) {
    const auto v = from_numpy<double>(values, "values", 1);
    const auto c = from_numpy<std::int64_t>(costs, "costs", 2);
    const std::shared_ptr<Engine> in_use = engine.cast<const EngineHandle&>().use();
    const py::gil_scoped_release release;
    return desk.decide(span_of(v), span_of(c));
  }

  py::object engine;
  OfferDesk desk;

 private:
  static SpendLedger open(const std::filesystem::path& folder, std::vector<std::int64_t> budgets, std::int64_t block) {
    const py::gil_scoped_release release;
    return SpendLedger(folder, {std::move(budgets), block, nullptr});
  }
};

}  // namespace

void bind_allocate(py::module_& m) {
  m.def(
      "allocate",
      [](const py::object& values, const py::object& costs, const py::object& budgets, std::int32_t per_shopper, const py::object& eligible,
         const py::object& offer_min, const py::object& offer_max, const py::object& exclusive, double target_gap, std::int32_t max_steps,
         std::int32_t full_steps, std::size_t sample, int num_threads) {
        const auto v = from_numpy<double>(values, "values", 2);
        const auto c = from_numpy<double>(costs, "costs", 3);
        const auto b = from_numpy<double>(budgets, "budgets", 1);
        const auto e = from_numpy<std::uint8_t>(eligible, "eligible", -1);
        const auto least = from_numpy<std::int64_t>(offer_min, "offer_min", 1);
        const auto most = from_numpy<std::int64_t>(offer_max, "offer_max", 1);
        const auto groups = from_numpy<std::int32_t>(exclusive, "exclusive", 1);
        marketing::AllocationProblem p;
        p.shoppers = static_cast<std::size_t>(v.shape(0));
        p.offers = static_cast<std::size_t>(v.shape(1));
        p.values = span_of(v);
        p.costs = span_of(c);
        p.budgets = span_of(b);
        p.eligible = span_of(e);
        p.offer_min = span_of(least);
        p.offer_max = span_of(most);
        p.exclusive = span_of(groups);
        p.per_shopper = per_shopper;
        marketing::Allocation a;
        {
          const py::gil_scoped_release release;
          a = marketing::allocate(p, {target_gap, max_steps, full_steps, sample, num_threads});
        }
        py::dict out;
        put(out, "offsets", take(std::move(a.offsets)), "offers", take(std::move(a.offers)), "value", a.value, "bound", a.bound, "gap", a.gap,
            "prices", take(std::move(a.prices)), "offer_prices", take(std::move(a.offer_prices)), "spent", take(std::move(a.spent)),
            "given", take(std::move(a.given)));
        return out;
      },
      py::arg("values"), py::arg("costs"), py::arg("budgets"), py::arg("per_shopper"), py::arg("eligible"), py::arg("offer_min"), py::arg("offer_max"),
      py::arg("exclusive"), py::arg("target_gap"), py::arg("max_steps"), py::arg("full_steps"), py::arg("sample"), py::arg("num_threads"));
  using marketing::OfferPrices;
  py::class_<OfferPrices, std::shared_ptr<OfferPrices>>(m, "OfferPrices", "The compiled part of etalage.marketing.OfferPrices.")
      .def(py::init([](std::vector<double> budget, std::vector<double> offer) { return OfferPrices(std::move(budget), std::move(offer)); }), py::arg("budget"), py::arg("offer"))
      .def("choose",
           [](const OfferPrices& prices, const py::object& values, const py::object& costs) {
             return for_requests(values, costs, [&](std::span<const double> v, std::span<const double> c) { return prices.choose(v, c); });
           },
           py::arg("values"), py::arg("costs"));
  using marketing::BudgetPacer;
  const auto array = [](std::span<const double> v) { return take(std::vector<double>(v.begin(), v.end())); };
  py::class_<BudgetPacer>(m, "BudgetPacer", "The compiled part of etalage.marketing.BudgetPacer.")
      .def(py::init([](std::vector<double> budgets, double expected_requests, std::vector<double> prices, std::vector<double> profile, double step) {
             return BudgetPacer({std::move(budgets), std::move(prices), expected_requests, std::move(profile), step});
           }),
           py::arg("budgets"), py::arg("expected_requests"), py::arg("prices"), py::arg("profile"), py::arg("step"))
      .def("decide",
           [](BudgetPacer& pacer, const py::object& values, const py::object& costs, double progress) {
             return pacer.decide(span_of(from_numpy<double>(values, "values", 1)), span_of(from_numpy<double>(costs, "costs", -1)), progress);
           },
           py::arg("values"), py::arg("costs"), py::arg("progress"))
      .def("replay",
           [](BudgetPacer& pacer, const py::object& values, const py::object& costs) {
             return for_requests(values, costs, [&](std::span<const double> v, std::span<const double> c) { return pacer.decide(v, c); });
           },
           py::arg("values"), py::arg("costs"))
      .def_property_readonly("prices", [array](const BudgetPacer& pacer) { return array(pacer.prices()); })
      .def_property_readonly("spent", [array](const BudgetPacer& pacer) { return array(pacer.spent()); })
      .def_property_readonly("requests", &BudgetPacer::requests)
      .def("spending_profile", [](const BudgetPacer& pacer, std::size_t parts) { return take(pacer.spending_profile(parts)); }, py::arg("parts"));
  py::class_<SpendLedger>(m, "SpendLedger", "The compiled part of etalage.marketing.SpendLedger.")
      .def(py::init([](const std::filesystem::path& folder, std::vector<std::int64_t> budgets, std::int64_t block) {
             const py::gil_scoped_release release;
             return SpendLedger(folder, {std::move(budgets), block, nullptr});
           }),
           py::arg("folder"), py::arg("budgets"), py::arg("block"))
      .def("spend", [](SpendLedger& ledger, const std::vector<std::int64_t>& amounts) { return ledger.spend(amounts); }, py::arg("amounts"), py::call_guard<py::gil_scoped_release>())
      .def("close", &SpendLedger::close, py::call_guard<py::gil_scoped_release>())
      .def_property_readonly("spent", &SpendLedger::spent)
      .def_property_readonly("reserved", &SpendLedger::reserved);
  py::class_<DeskHandle>(m, "OfferDesk", "The compiled part of etalage.serving.OfferDesk.")
      .def(py::init<const py::object&, std::string, const std::filesystem::path&, std::vector<std::int64_t>, std::int64_t>(), py::arg("engine"), py::arg("plan"), py::arg("folder"),
           py::arg("budgets"), py::arg("block"))
      .def("decide", &DeskHandle::decide, py::arg("values"), py::arg("costs"))
      .def("close", [](DeskHandle& d) { d.desk.ledger().close(); }, py::call_guard<py::gil_scoped_release>())
      .def_property_readonly("spent", [](DeskHandle& d) { return d.desk.ledger().spent(); })
      .def_property_readonly("reserved", [](DeskHandle& d) { return d.desk.ledger().reserved(); });
}

}  // namespace etalage::python
