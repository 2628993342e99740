"""Go templates: what people write after ``--format``."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.cli.row import Row
from wherry.cli.template import Template, TemplateError

DATA: dict[str, Any] = {
    "Name": "/web",
    "State": {"Status": "running", "Running": True, "ExitCode": 0},
    "Ports": {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}], "9/udp": None},
    "Args": ["a", "b", "c"],
    "Count": 3,
    "Ratio": 1.5,
    "Labels": {"a": "b", "com.example/x": "y"},
    "Empty": [],
    "Nothing": None,
}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("plain", "plain"),
        ("{{.Name}}", "/web"),
        ("{{ .State.Status }}!", "running!"),
        ("{{.State.Running}} {{.Count}} {{.Ratio}} {{.Nothing}}", "true 3 1.5 <nil>"),
        ("{{.Args}} {{.Labels}}", "[a b c] map[a:b com.example/x:y]"),
        ("{{json .State}}", '{"Status":"running","Running":true,"ExitCode":0}'),
        ('{{index .Labels "com.example/x"}}{{index .Labels "none"}}', "y"),
        ("{{index .Args 1}}{{len .Args}}", "b3"),
        ('{{(index (index .Ports "80/tcp") 0).HostPort}}', "8080"),
        ("{{range .Args}}<{{.}}>{{end}}", "<a><b><c>"),
        ("{{range $i, $a := .Args}}{{if $i}},{{end}}{{$a}}{{end}}", "a,b,c"),
        ("{{range $p, $b := .Ports}}{{$p}}:{{if $b}}{{(index $b 0).HostPort}}{{else}}-{{end}} {{end}}", "80/tcp:8080 9/udp:- "),  # noqa: E501
        ("{{range .Empty}}x{{else}}none{{end}}", "none"),
        ("{{range .Args}}{{if eq . \"b\"}}{{continue}}{{end}}{{.}}{{end}}", "ac"),
        ("{{range .Args}}{{if eq . \"b\"}}{{break}}{{end}}{{.}}{{end}}", "a"),
        ("{{with .State}}{{.Status}}{{end}}{{with .Nothing}}x{{else}}y{{end}}", "runningy"),
        ("{{if .Nothing}}a{{else if .Count}}b{{else}}c{{end}}", "b"),
        ("{{if and .State.Running (eq .Count 3)}}yes{{end}}", "yes"),
        ("{{or .Nothing .Name}} {{and .Count .Nothing}} {{not .Count}}", "/web <nil> false"),
        ('{{eq .Count 1 2 3}} {{ne .Name "x"}} {{lt 1 2}} {{ge .Count 4}}', "true true true false"),
        ("{{$x := .Count}}{{$x = 4}}{{$x}}", "4"),
        ("{{range .Args}}{{$.Name}}{{end}}", "/web/web/web"),
        ('{{.Name | upper}} {{lower "AB"}} {{title "ab"}}', "/WEB ab Ab"),
        ('{{join .Args "-"}} {{split "a:b" ":"}}', "a-b-c [a b]"),
        ('{{printf "%-5s|%3d|%q|%v|%.1f|%t|%x|%%" "a" 7 "q" .Args 1.25 true "hi"}}', 'a    |  7|"q"|[a b c]|1.2|true|6869|%'),  # noqa: E501
        ('{{.Name | printf "%s:%s" "n"}}', "n:/web"),
        ('{{println .Count}}{{print "a" "b" 1 2}}', "3\nab1 2"),
        ("a {{- .Count -}} b", "a3b"),
        ("{{/* nothing */}}x", "x"),
        ('{{"}}"}}{{`raw\\`}}{{true}}{{nil}}', "}}raw\\true<nil>"),
        ("{{slice .Name 1}} {{truncate .Name 2}} {{pad .Name 1 1}}|", "web /w  /web |"),
        ("{{.State.Health}}{{if .State.Health}}h{{end}}", "<nil>"),
        ("{{$.State.Status}} {{($.State).Status}}", "running running"),
    ],
)  # fmt: skip
def test_renders(source: str, expected: str) -> None:
    assert Template(source).render(DATA) == expected


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("{{.Name", "unclosed action"),
        ("{{foo}}", 'function "foo" not defined'),
        ("{{if}}x{{end}}", "missing value for if"),
        ("{{if .Name}}", "unexpected EOF"),
        ("{{end}}", "unexpected {{end}}"),
        ("{{}}", "missing value for command"),
        ("{{.Name ^}}", "unexpected '^'"),
        ("{{(.Name}}", "unexpected"),
        ("{{.Missing}}", 'map has no entry for key "Missing"'),
        ("{{.Count.x}}", "can't evaluate field x"),
        ("{{.Nothing.x}}", "nil pointer evaluating .x"),
        ("{{index .Args 9}}", "index out of range: 9"),
        ("{{index .Nothing 0}}", "index of untyped nil"),
        ('{{eq .Count "3"}}', "incompatible types"),
        ("{{upper .Count}}", "wrong arguments"),
        ("{{$y}}", 'undefined variable "$y"'),
        ("{{range .Ratio}}{{end}}", "can't iterate"),
    ],
)
def test_complains(source: str, complaint: str) -> None:
    with pytest.raises(TemplateError) as failure:
        Template(source).render(DATA)
    assert complaint in str(failure.value)


def test_rows_have_columns_and_methods_and_nothing_else() -> None:
    row = Row(ID="1", Labels="a=<b>", Label=lambda name: name * 2)
    assert Template('{{.ID}} {{.Label "x"}}').render(row) == "1 xx"
    assert Template("{{json .}}").render(row) == '{"ID":"1","Labels":"a=\\u003cb\\u003e"}'
    with pytest.raises(TemplateError, match="can't evaluate field Health"):
        Template("{{.Health}}").render(row)


@given(st.text())
def test_text_without_actions_is_itself(text: str) -> None:
    if "{{" not in text:
        assert Template(text).render({}) == text


@given(st.text(alphabet='{}.$|()"`\\:= -Nameifrangedlswth0123', max_size=60))
def test_any_source_renders_or_complains(source: str) -> None:
    with contextlib.suppress(TemplateError):
        Template(source).render({"Name": "x", "a": [1]})


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda s: st.lists(s) | st.dictionaries(st.text(), s),
    )
)
def test_json_is_json(value: Any) -> None:
    assert json.loads(Template("{{json .X}}").render({"X": value})) == value
