// SPDX-License-Identifier: Apache-2.0
// An engine that Python can close, and that is never destroyed under the GIL.
#pragma once

#include <pybind11/pybind11.h>
#include <unistd.h>

#include <future>
#include <memory>
#include <stdexcept>
#include <utility>

#include "etalage/serving/engine.hpp"

namespace etalage::python {

namespace py = pybind11;

/// What Python holds. Calls share the engine for as long as they run, so that close() beside them takes nothing away from
/// under them: it waits until the last has returned and the engine's threads have ended.
class EngineHandle {
 public:
  explicit EngineHandle(std::unique_ptr<Engine> engine) {
    auto done = std::make_shared<std::promise<void>>();
    ended_ = done->get_future().share();
    engine_ = std::shared_ptr<Engine>(engine.release(), [done = std::move(done)](Engine* e) {
      destroy(e);
      done->set_value();
    });
  }

  EngineHandle(const EngineHandle&) = delete;
  EngineHandle& operator=(const EngineHandle&) = delete;
  ~EngineHandle() {
    if (in_child()) abandon(std::move(engine_));
  }

  /// std::invalid_argument once it is closed.
  [[nodiscard]] std::shared_ptr<Engine> use() const {
    if (!engine_) throw std::invalid_argument("this engine is closed");
    return engine_;
  }
  [[nodiscard]] bool closed() const noexcept { return !engine_; }

  /// Under the GIL, which guards the pointer; without it while it waits. A second call waits like the first. Not from
  /// within a call on this engine (a callback), which it would wait for.
  void close() {
    std::shared_ptr<Engine> last = std::move(engine_);
    engine_.reset();
    if (in_child()) return abandon(std::move(last));
    const std::shared_future<void> ended = ended_;
    const py::gil_scoped_release release;
    last.reset();
    ended.wait();
  }

 private:
  [[nodiscard]] bool in_child() const noexcept { return ::getpid() != process_; }
  /// In a child made by fork neither the engine's threads nor calls that ran in the parent will ever end, locks may be held
  /// by them, and the journal is the parent's: what is there stays as it is until the child exits.
  static void abandon(std::shared_ptr<Engine> engine) {
    if (engine) (void)new std::shared_ptr<Engine>(std::move(engine));
  }

  /// The engine's threads may free what only the GIL's holder may touch, and joining them must not hold it meanwhile.
  static void destroy(Engine* engine) noexcept {
    if (Py_IsInitialized() != 0 && PyGILState_Check() != 0) {
      const py::gil_scoped_release release;
      delete engine;
    } else {
      delete engine;
    }
  }

  std::shared_ptr<Engine> engine_;
  std::shared_future<void> ended_;
  pid_t process_ = ::getpid();
};

}  // namespace etalage::python

namespace pybind11::detail {

/// Functions bound with an Engine& take the handle, and share its engine while they run.
template <>
struct type_caster<etalage::Engine> {
  static constexpr auto name = const_name("Engine");
  template <class>
  using cast_op_type = etalage::Engine&;

  bool load(handle source, bool) {
    if (!isinstance<etalage::python::EngineHandle>(source)) return false;
    engine_ = source.cast<const etalage::python::EngineHandle&>().use();
    return true;
  }
  operator etalage::Engine&() { return *engine_; }  // NOLINT: how pybind11 reads a caster

 private:
  std::shared_ptr<etalage::Engine> engine_;
};

}  // namespace pybind11::detail
