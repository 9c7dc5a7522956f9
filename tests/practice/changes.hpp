#pragma once
// Bodies of the control API: members of a struct, changed by the fields of a JSON object.
#include <chrono>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>

#include <boost/json.hpp>

namespace livecanary::practice {

/// A field nobody took is a mistake. All throw std::exception for what they cannot take.
class Changes {
public:
    explicit Changes(const std::string& body) {
        if (!body.empty()) fields_ = boost::json::parse(body).as_object();
    }
    template <class Member>
    void take(std::string_view name, Member& member) {
        if (const auto* value = fields_.if_contains(name)) assign(member, *value);
        fields_.erase(name);
    }
    void end() const {
        if (!fields_.empty())
            throw std::invalid_argument("unknown field " + std::string(fields_.begin()->key()));
    }

private:
    static void assign(bool& to, const boost::json::value& from) { to = from.as_bool(); }
    static void assign(int& to, const boost::json::value& from) { to = from.to_number<int>(); }
    static void assign(double& to, const boost::json::value& from) { to = from.to_number<double>(); }
    static void assign(std::string& to, const boost::json::value& from) { to = from.as_string(); }
    static void assign(std::chrono::milliseconds& to, const boost::json::value& from) {
        to = std::chrono::milliseconds(from.to_number<int>());
    }
    static void assign(std::chrono::seconds& to, const boost::json::value& from) {
        to = std::chrono::seconds(from.to_number<int>());
    }
    template <class Element>
    static void assign(std::set<Element>& to, const boost::json::value& from) {
        to = boost::json::value_to<std::set<Element>>(from);
    }

    boost::json::object fields_{};
};

}  // namespace livecanary::practice
