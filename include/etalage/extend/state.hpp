// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "etalage/core/array.hpp"
#include "etalage/core/csr_matrix.hpp"
#include "etalage/core/id_map.hpp"
#include "etalage/export.hpp"

namespace etalage {

class StateReader;
class StateWriter;
class VectorIndex;

/// What a file holds, alone or inside another object: a model, an index, a class that a host registered.
class ETALAGE_EXPORT Storable {
 public:
  virtual ~Storable();
  /// The name under which files know the class, as register_model() and register_index() were given it; empty for one that is never
  /// saved.
  [[nodiscard]] virtual std::string_view kind() const noexcept;
  /// Writes what the factory of kind() reads; overriders call the base first.
  virtual void save_state(StateWriter& writer) const = 0;

 protected:
  Storable() = default;
  Storable(const Storable&) = default;
  Storable& operator=(const Storable&) = default;
};

/// Element types that an array section of a file may have.
enum class DType : std::uint8_t { kInt8 = 1, kUInt8, kInt16, kUInt16, kInt32, kUInt32, kInt64, kUInt64, kFloat32, kFloat64 };

/// The DType of a C++ type.
template <class T>
constexpr DType dtype_of() {
  if constexpr (std::is_same_v<T, float>) return DType::kFloat32;
  else if constexpr (std::is_same_v<T, double>) return DType::kFloat64;
  else {
    static_assert(std::is_integral_v<T> && !std::is_same_v<T, bool>);
    constexpr bool s = std::is_signed_v<T>;
    if constexpr (sizeof(T) == 1) return (s && !std::is_same_v<T, char>) ? DType::kInt8 : DType::kUInt8;
    else if constexpr (sizeof(T) == 2) return s ? DType::kInt16 : DType::kUInt16;
    else if constexpr (sizeof(T) == 4) return s ? DType::kInt32 : DType::kUInt32;
    else return s ? DType::kInt64 : DType::kUInt64;
  }
}

/// Where a model or an index writes itself. Models know only this and StateReader; files are made from it in room io.
/// Names are unique within one object; "a/b" nests. Scalars and short lists become structure, arrays become aligned
/// raw sections.
class ETALAGE_EXPORT StateWriter {
 public:
  virtual ~StateWriter();
  /// A field of the object.
  virtual void put_int(const std::string& name, std::int64_t value) = 0;
  virtual void put_double(const std::string& name, double value) = 0;
  virtual void put_string(const std::string& name, std::string_view value) = 0;
  virtual void put_doubles(const std::string& name, std::span<const double> values) = 0;
  virtual void put_strings(const std::string& name, std::span<const std::string> values) = 0;
  /// The bytes must live until the file is written.
  virtual void put_bytes(const std::string& name, DType type, const void* data, std::size_t count,
                         std::shared_ptr<const void> owner) = 0;

  /// Asked before a model or an index is put inside another object: refuses, by name, one whose kind no reader would know
  /// (std::invalid_argument from files). The default knows no kinds and refuses nothing.
  virtual void require_model(std::string_view kind) const;
  virtual void require_index(std::string_view kind) const;

  /// Fields that are made of others.
  void put_bool(const std::string& name, bool value) { put_int(name, value ? 1 : 0); }
  template <class T>
  void put_array(const std::string& name, const Array<T>& a) {
    put_bytes(name, dtype_of<T>(), a.data(), a.size(), a.owner());
  }
  void put_csr(const std::string& name, const CsrMatrix& matrix);
  void put_id_map(const std::string& name, const IdMap& ids);
  /// Kind and state of an index of any registered class, below `name`; get_index() reads it back.
  void put_index(const std::string& name, const VectorIndex& index);
};

/// The other side. Every get throws FormatError naming the field when it is absent or of another type; arrays come
/// back borrowed from the mapped file. A reader may be asked for what it may or may not have with has().
class ETALAGE_EXPORT StateReader {
 public:
  virtual ~StateReader();
  /// Whether there is such a field.
  [[nodiscard]] virtual bool has(const std::string& name) const = 0;
  /// The field's value.
  [[nodiscard]] virtual std::int64_t get_int(const std::string& name) const = 0;
  [[nodiscard]] virtual double get_double(const std::string& name) const = 0;
  [[nodiscard]] virtual std::string get_string(const std::string& name) const = 0;
  [[nodiscard]] virtual std::vector<double> get_doubles(const std::string& name) const = 0;
  [[nodiscard]] virtual std::vector<std::string> get_strings(const std::string& name) const = 0;
  /// An array as it lies in the file.
  struct Bytes {
    DType type = DType::kUInt8;  ///< of one entry
    const void* data = nullptr;  ///< the entries; aligned as Array is
    std::size_t count = 0;  ///< how many entries
    std::shared_ptr<const void> owner;  ///< what keeps them alive
  };
  /// An array's memory as it lies; FormatError when there is none of that name.
  [[nodiscard]] virtual Bytes get_bytes(const std::string& name) const = 0;
  /// True when contents were checksummed and structures (offsets, columns, slots) must be checked too; false in
  /// header-only opening, where the file is trusted.
  [[nodiscard]] virtual bool verify() const noexcept = 0;
  /// For checks that go over whole arrays; 0 means all CPUs.
  [[nodiscard]] virtual int num_threads() const noexcept { return 0; }
  /// A model or an index that was put inside another object, made from its part of the state: rooms that hold models do
  /// not know all their kinds, the one that reads files does. Never null; what else a model is, is for the caller to ask
  /// (dynamic_pointer_cast). The default knows none (FormatError).
  [[nodiscard]] virtual std::shared_ptr<Storable> make_model(std::string_view kind, const StateReader& state) const;
  [[nodiscard]] virtual std::shared_ptr<VectorIndex> make_index(std::string_view kind, const StateReader& state) const;
  /// Throws FormatError with the file's name, the field and the rule.
  [[noreturn]] virtual void fail(const std::string& name, const std::string& found_and_expected) const = 0;

  /// The same, 0 and 1 as a truth value.
  [[nodiscard]] bool get_bool(const std::string& name) const { return get_int(name) != 0; }
  /// get_int within [low, high], else FormatError.
  [[nodiscard]] std::int64_t get_int(const std::string& name, std::int64_t low, std::int64_t high) const;
  template <class T>
  [[nodiscard]] Array<T> get_array(const std::string& name) const {
    Bytes b = get_bytes(name);
    if (b.type != dtype_of<T>()) fail(name, "an array of another element type");
    return Array<T>::wrap(static_cast<const T*>(b.data), b.count, std::move(b.owner));
  }
  /// get_array of exactly `count` elements, else FormatError.
  template <class T>
  [[nodiscard]] Array<T> get_array(const std::string& name, std::size_t count) const {
    Array<T> a = get_array<T>(name);
    if (a.size() != count)
      fail(name, "found " + std::to_string(a.size()) + " elements, expected " + std::to_string(count));
    return a;
  }
  [[nodiscard]] CsrMatrix get_csr(const std::string& name) const;
  [[nodiscard]] IdMap get_id_map(const std::string& name) const;
  /// What put_index() wrote; never null.
  [[nodiscard]] std::shared_ptr<VectorIndex> get_index(const std::string& name) const;
};

/// Puts an object inside another: every name gets the prefix, which ends in '/'.
class ETALAGE_EXPORT ScopedWriter : public StateWriter {
 public:
  ScopedWriter(StateWriter& outer, std::string prefix) : outer_(outer), prefix_(std::move(prefix)) {}  ///< fields go to outer under prefix + name
  void put_int(const std::string& name, std::int64_t value) override { outer_.put_int(prefix_ + name, value); }
  void put_double(const std::string& name, double value) override { outer_.put_double(prefix_ + name, value); }
  void put_string(const std::string& name, std::string_view value) override { outer_.put_string(prefix_ + name, value); }
  void put_doubles(const std::string& name, std::span<const double> values) override {
    outer_.put_doubles(prefix_ + name, values);
  }
  void put_strings(const std::string& name, std::span<const std::string> values) override {
    outer_.put_strings(prefix_ + name, values);
  }
  void put_bytes(const std::string& name, DType type, const void* data, std::size_t count,
                 std::shared_ptr<const void> owner) override {
    outer_.put_bytes(prefix_ + name, type, data, count, std::move(owner));
  }
  void require_model(std::string_view kind) const override { outer_.require_model(kind); }
  void require_index(std::string_view kind) const override { outer_.require_index(kind); }

 private:
  StateWriter& outer_;
  std::string prefix_;
};

/// Reads an object that was put inside another with the same prefix.
class ETALAGE_EXPORT ScopedReader : public StateReader {
 public:
  using StateReader::get_int;
  /// Fields come from outer's under prefix + name.
  ScopedReader(const StateReader& outer, std::string prefix) : outer_(outer), prefix_(std::move(prefix)) {}
  [[nodiscard]] bool has(const std::string& name) const override { return outer_.has(prefix_ + name); }
  [[nodiscard]] std::int64_t get_int(const std::string& name) const override { return outer_.get_int(prefix_ + name); }
  [[nodiscard]] double get_double(const std::string& name) const override { return outer_.get_double(prefix_ + name); }
  [[nodiscard]] std::string get_string(const std::string& name) const override { return outer_.get_string(prefix_ + name); }
  [[nodiscard]] std::vector<double> get_doubles(const std::string& name) const override {
    return outer_.get_doubles(prefix_ + name);
  }
  [[nodiscard]] std::vector<std::string> get_strings(const std::string& name) const override {
    return outer_.get_strings(prefix_ + name);
  }
  [[nodiscard]] Bytes get_bytes(const std::string& name) const override { return outer_.get_bytes(prefix_ + name); }  ///< as the outer one has it
  [[nodiscard]] bool verify() const noexcept override { return outer_.verify(); }
  [[nodiscard]] int num_threads() const noexcept override { return outer_.num_threads(); }
  [[nodiscard]] std::shared_ptr<Storable> make_model(std::string_view kind, const StateReader& state) const override {
    return outer_.make_model(kind, state);
  }
  [[nodiscard]] std::shared_ptr<VectorIndex> make_index(std::string_view kind, const StateReader& state) const override {
    return outer_.make_index(kind, state);
  }
  [[noreturn]] void fail(const std::string& name, const std::string& found_and_expected) const override;

 private:
  const StateReader& outer_;
  std::string prefix_;
};

}  // namespace etalage
