// SPDX-License-Identifier: Apache-2.0
#include "io/structure.hpp"

#include <bit>
#include <boost/archive/archive_exception.hpp>
#include <boost/archive/iterators/dataflow_exception.hpp>
#include <boost/archive/text_iarchive.hpp>
#include <boost/archive/text_oarchive.hpp>
#include <locale>
#include <sstream>
#include <streambuf>
#include <utility>

#include "etalage/error.hpp"
#include "io/utf8.hpp"

namespace etalage::io {
namespace {

// The caller's locale could group digits; the classic one is set on our stream alone, and Boost must not replace it.
constexpr unsigned kFlags = boost::archive::no_header | boost::archive::no_codecvt;

/// Reads memory in place and knows how much of it is left.
class ViewBuffer final : public std::streambuf {
 public:
  explicit ViewBuffer(std::span<const std::byte> bytes) {
    char* p = const_cast<char*>(reinterpret_cast<const char*>(bytes.data()));
    setg(p, p, p + bytes.size());
  }
  [[nodiscard]] std::uint64_t left() const noexcept { return static_cast<std::uint64_t>(egptr() - gptr()); }
};

void put(boost::archive::text_oarchive& out, std::uint64_t x) { out << x; }

void put(boost::archive::text_oarchive& out, const std::string& s) {
  put(out, static_cast<std::uint64_t>(s.size()));
  if (!s.empty()) out.save_binary(s.data(), s.size());
}

class Reader {
 public:
  Reader(std::span<const std::byte> bytes, const std::string& label) : label_(label), buffer_(bytes), stream_(&buffer_) {
    stream_.imbue(std::locale::classic());
  }

  Structure read() {
    try {
      boost::archive::text_iarchive in(stream_, kFlags);
      Structure out;
      // A value takes two bytes at the very least: a tag and a space. Nothing is reserved by these counts.
      const std::uint64_t n = length(in, "values");
      for (std::uint64_t i = 0; i < n; ++i) {
        std::string name = string(in);
        Value v = value(in);
        if (name.empty() || !out.emplace(std::move(name), std::move(v)).second) fail("found a value without a name or a name twice");
      }
      return out;
    } catch (const boost::archive::archive_exception& e) {
      fail(e.what());
    } catch (const boost::archive::iterators::dataflow_exception& e) {
      fail(e.what());
    }
  }

 private:
  using In = boost::archive::text_iarchive;

  [[noreturn]] void fail(const std::string& what) const { throw FormatError(label_ + ": damaged structure: " + what); }

  std::uint64_t number(In& in) const {
    std::uint64_t x = 0;
    in >> x;
    if (stream_.fail()) fail("found no number where one is expected");
    return x;
  }
  std::uint64_t length(In& in, const char* what) const {
    const std::uint64_t n = number(in);
    if (n > buffer_.left())
      fail("found " + std::to_string(n) + " " + what + ", expected at most the " + std::to_string(buffer_.left()) + " bytes left");
    return n;
  }
  std::string string(In& in) const {
    std::string s(length(in, "characters"), '\0');
    if (!s.empty()) in.load_binary(s.data(), s.size());
    if (!is_utf8(s)) fail("found text that is not UTF-8");
    return s;
  }
  Value value(In& in) const {
    switch (const std::uint64_t tag = number(in)) {
      case 0:
        return static_cast<std::int64_t>(number(in));
      case 1:
        return std::bit_cast<double>(number(in));
      case 2:
        return string(in);
      case 3: {
        std::vector<double> out;
        for (std::uint64_t n = length(in, "numbers"); n != 0; --n) out.push_back(std::bit_cast<double>(number(in)));
        return out;
      }
      case 4: {
        std::vector<std::string> out;
        for (std::uint64_t n = length(in, "strings"); n != 0; --n) out.push_back(string(in));
        return out;
      }
      default:
        fail("found tag " + std::to_string(tag) + ", expected 0 to 4");
    }
  }

  const std::string& label_;
  ViewBuffer buffer_;
  std::istream stream_;
};

}  // namespace

std::string write_structure(const Structure& values) {
  std::ostringstream stream;
  stream.imbue(std::locale::classic());
  {
    boost::archive::text_oarchive out(stream, kFlags);
    put(out, static_cast<std::uint64_t>(values.size()));
    for (const auto& [name, value] : values) {
      put(out, name);
      put(out, static_cast<std::uint64_t>(value.index()));
      if (const auto* i = std::get_if<std::int64_t>(&value)) put(out, static_cast<std::uint64_t>(*i));
      else if (const auto* d = std::get_if<double>(&value)) put(out, std::bit_cast<std::uint64_t>(*d));
      else if (const auto* s = std::get_if<std::string>(&value)) put(out, *s);
      else if (const auto* ds = std::get_if<std::vector<double>>(&value)) {
        put(out, static_cast<std::uint64_t>(ds->size()));
        for (const double x : *ds) put(out, std::bit_cast<std::uint64_t>(x));
      } else {
        const auto& ss = std::get<std::vector<std::string>>(value);
        put(out, static_cast<std::uint64_t>(ss.size()));
        for (const std::string& x : ss) put(out, x);
      }
    }
  }
  return std::move(stream).str();
}

Structure read_structure(std::span<const std::byte> bytes, const std::string& label) { return Reader(bytes, label).read(); }

}  // namespace etalage::io
