"""Each layout of public data and of shop systems is read right: people, items, times, kinds, values and texts.

The files are made up in the form of the real ones; what they mean is written beside them.
"""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from models.history import EventKind
from training.base.errors import DataLost, SourceUnreadable
from training.data.options import reading_options
from training.data.read import read_shop
from training.data.shop import Shop

VIEW, CLICK, CART, PURCHASE, RATING, _ = EventKind
Files = dict[str, str | bytes]


def write(folder: Path, files: Files) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def read(folder: Path, files: Files, target: str = "", **options: str) -> Shop:
    return read_shop(write(folder, files) / target, options=reading_options(**options))


def events(shop: Shop) -> set[tuple[str, str, int, int, float]]:
    return {(user, item, time, kind, round(value, 2)) for user, item, time, kind, value in shop.events.rows()}


def item(shop: Shop, item_id: str) -> dict[str, object]:
    [row] = shop.items.rows_by_key("item_id", named=True)[item_id]
    return dict(row)


def test_movielens_latest_has_ratings_and_several_genres(tmp_path: Path) -> None:
    shop = read(
        tmp_path,
        {
            "ratings.csv": "userId,movieId,rating,timestamp\n1,296,5.0,1147880044\n1,306,3.5,1147868817\n",
            "movies.csv": "movieId,title,genres\n296,Pulp Fiction (1994),Comedy|Crime\n306,Red,(no genres listed)\n",
            "links.csv": "movieId,imdbId,tmdbId\n296,1,2\n",
            "tags.csv": "userId,movieId,tag,timestamp\n1,296,classic,1147880044\n",
            "README.txt": "Summary, of the data\n",
        },
    )
    assert events(shop) == {("1", "296", 1147880044, RATING, 5.0), ("1", "306", 1147868817, RATING, 3.5)}
    assert (item(shop, "296")["title"], item(shop, "296")["category"]) == ("Pulp Fiction (1994)", "Comedy")
    assert item(shop, "296")["text"] == "Pulp Fiction (1994). Comedy Crime"
    assert (item(shop, "306")["text"], item(shop, "306")["category"]) == ("Red", None)


def test_movielens_10m_is_utf8_and_one_folder_deeper(tmp_path: Path) -> None:
    shop = read(
        tmp_path,
        {
            "ml-10M/ratings.dat": "1::122::5::838985046\n1::185::4.5::838983525\n",
            "ml-10M/movies.dat": "122::Amélie (2001)::Comedy|Romance\n185::Net, The (1995)::Action\n",
        },
    )
    assert events(shop) == {("1", "122", 838985046, RATING, 5.0), ("1", "185", 838983525, RATING, 4.5)}
    assert item(shop, "122")["title"] == "Amélie (2001)"


def test_a_ratings_file_without_header_is_understood_by_what_is_in_it(tmp_path: Path) -> None:
    rows = "196\t242\t3\t881250949\n186\t302\t3\t891717742\n22\t377\t1\t878887116\n"
    shop = read(tmp_path, {"u.data": rows}, "u.data")
    assert ("22", "377", 878887116, RATING, 1.0) in events(shop)
    assert shop.n_people == 3


def test_recbole_atomic_files(tmp_path: Path) -> None:
    shop = read(
        tmp_path,
        {
            "ml.inter": "user_id:token\titem_id:token\trating:float\ttimestamp:float\n1\t2\t3\t881250949\n",
            "ml.item": "item_id:token\tmovie_title:token_seq\tclass:token_seq\n2\tToy Story\tAnimation Children's\n",
            "ml.user": "user_id:token\tage:token\n1\t3\n",
        },
    )
    assert events(shop) == {("1", "2", 881250949, RATING, 3.0)}
    assert (item(shop, "2")["title"], item(shop, "2")["category"]) == ("Toy Story", "Animation")
    assert shop.attributes["categories"].to_list() == [["Animation", "Children's"]]


def test_amazon_reviews_with_metadata_in_python_literals(tmp_path: Path) -> None:
    review = b'{"reviewerID":"A1","asin":"B1","overall":5.0,"unixReviewTime":1390000000,"reviewTime":"01 18, 2014"}\n'
    described = (
        b"{'asin': 'B1', 'title': 'A thing', 'price': 9.99, 'categories': [['Beauty', 'Skin Care']]}\n"
    )
    files: Files = {"reviews.json.gz": gzip.compress(review), "meta.json.gz": gzip.compress(described)}
    shop = read(tmp_path, files)
    assert events(shop) == {("A1", "B1", 1390000000, RATING, 5.0)}
    assert item(shop, "B1")["title"] == "A thing"
    assert "Skin Care" in str(item(shop, "B1")["text"])
    assert item(shop, "B1")["price"] == pytest.approx(9.99)


def test_amazon_2023_has_ratings_in_milliseconds(tmp_path: Path) -> None:
    shop = read(tmp_path, {"B.csv": "user_id,parent_asin,rating,timestamp\nA,B,5.0,1588687728923\n"}, "B.csv")
    assert events(shop) == {("A", "B", 1588687728, RATING, 5.0)}


def test_user_behavior_without_header(tmp_path: Path) -> None:
    rows = "1,22,25,pv,1511544070\n1,23,25,buy,1511561733\n1,23,25,cart,1511561734\n2,5,6,fav,1511561733\n"
    shop = read(tmp_path, {"UserBehavior.csv": rows}, "UserBehavior.csv")
    assert {(user, thing, kind) for user, thing, _, kind, _ in events(shop)} == {
        ("1", "22", VIEW),
        ("1", "23", PURCHASE),
        ("1", "23", CART),
        ("2", "5", CLICK),
    }


STEAM = '151603712,"Skyrim, V",purchase,1.0,0\n151603712,"Skyrim, V",play,273.0,0\n'


def test_a_table_without_times_says_so_and_names_the_option(tmp_path: Path) -> None:
    with pytest.raises(SourceUnreadable, match=r"no column of times.*--time-format rows"):
        read(tmp_path, {"steam.csv": STEAM}, "steam.csv")


def test_the_order_of_rows_stands_for_times_if_a_person_says_so(tmp_path: Path) -> None:
    shop = read(tmp_path, {"steam.csv": STEAM}, "steam.csv", time_format="rows")
    assert shop.events["kind"].to_list() == [PURCHASE, VIEW]
    assert shop.events["item_id"].unique().to_list() == ["Skyrim, V"]
    assert shop.events["time"].is_sorted()
    assert shop.events["time"].n_unique() == 2


def test_retailrocket_has_its_kinds_and_the_latest_of_its_properties(tmp_path: Path) -> None:
    shop = read(
        tmp_path,
        {
            "events.csv": "timestamp,visitorid,event,itemid,transactionid\n1433221332117,257,view,355,\n"
            "1433224214164,992,addtocart,248,\n1433221999827,111,transaction,318,4000\n",
            "item_properties_part1.csv": "timestamp,itemid,property,value\n1435460400000,355,categoryid,1338\n"
            "1441508400000,355,888,1116713 960601 n277.200\n1439089200000,248,available,0\n"
            "1433041200000,248,available,1\n",
            "item_properties_part2.csv": "timestamp,itemid,property,value\n1435460400000,318,790,n277200.000\n",
            "category_tree.csv": "categoryid,parentid\n1016,213\n",
        },
    )
    assert {(user, kind) for user, _, _, kind, _ in events(shop)} == {
        ("257", VIEW),
        ("992", CART),
        ("111", PURCHASE),
    }
    assert item(shop, "355")["category"] == "1338"
    assert "960601" in str(item(shop, "355")["text"])
    assert (item(shop, "248")["available"], item(shop, "355")["available"]) == (False, True)


def test_instacart_is_joined_and_its_order_numbers_are_the_order(tmp_path: Path) -> None:
    shop = read(
        tmp_path,
        {
            "orders.csv": "order_id,user_id,eval_set,order_number\n1,7,prior,1\n2,7,prior,2\n3,7,train,3\n",
            "order_products__prior.csv": "order_id,product_id,add_to_cart_order\n1,10,1\n2,11,1\n2,10,2\n",
            "order_products__train.csv": "order_id,product_id,add_to_cart_order\n3,12,1\n",
            "products.csv": "product_id,product_name,department_id\n10,Banana,2\n11,Milk,2\n12,Egg,3\n",
            "departments.csv": "department_id,department\n2,frozen\n3,fresh\n",
        },
    )
    assert shop.events["item_id"].to_list() == ["10", "11", "10", "12"]
    assert shop.events["time"].diff().drop_nulls().to_list() == [86_400, 0, 86_400]
    assert (item(shop, "12")["title"], item(shop, "12")["category"]) == ("Egg", "fresh")


def test_olist_is_joined_and_the_person_is_behind_the_account(tmp_path: Path) -> None:
    shop = read(
        tmp_path,
        {
            "orders.csv": '"order_id","customer_id","order_status","order_purchase_timestamp"\n'
            '"o1","c1","delivered","2017-10-02 10:56:33"\n"o2","c2","canceled","2017-10-03 10:56:33"\n',
            "order_items.csv": '"order_id","product_id","price"\n"o1","p1",58.90\n"o2","p2",5.00\n',
            "customers.csv": '"customer_id","customer_unique_id"\n"c1","u1"\n"c2","u1"\n',
            "products.csv": '"product_id","product_category_name"\n"p1","perfumaria"\n"p2","artes"\n',
        },
    )
    assert events(shop) == {("u1", "p1", 1506941793, PURCHASE, 1.0)}
    assert shop.dropped.dropped["return or refund"] == 1
    assert item(shop, "p1")["category"] == "perfumaria"


def test_h_and_m_keeps_the_zeros_of_its_ids(tmp_path: Path) -> None:
    shop = read(
        tmp_path,
        {
            "transactions.csv": "t_dat,customer_id,article_id,price\n2018-09-20,000a1,0663713001,0.05\n",
            "articles.csv": "article_id,product_code,prod_name,product_type_name,detail_desc\n"
            "0663713001,0663713,Push Body,Underwear,Lace push-up\n",
            "customers.csv": "customer_id,FN,age\n000a1,,49\n",
        },
    )
    assert events(shop) == {("000a1", "0663713001", 1537401600, PURCHASE, 1.0)}
    assert item(shop, "0663713001")["title"] == "Push Body"


def test_ta_feng_has_the_month_first(tmp_path: Path) -> None:
    rows = (
        '"TRANSACTION_DT","CUSTOMER_ID","PRODUCT_SUBCLASS","PRODUCT_ID","AMOUNT","SALES_PRICE"\n'
        '"11/1/2000","01104905","110411","471",2,30\n"11/13/2000","00418683","120107","472",1,46\n'
    )
    shop = read(tmp_path, {"ta_feng.csv": rows}, "ta_feng.csv")
    assert events(shop) == {
        ("01104905", "471", 973036800, PURCHASE, 2.0),
        ("00418683", "472", 974073600, PURCHASE, 1.0),
    }


def test_dunnhumby_has_days_that_are_an_order(tmp_path: Path) -> None:
    shop = read(
        tmp_path,
        {
            "transaction_data.csv": "household_key,BASKET_ID,DAY,PRODUCT_ID,QUANTITY,SALES_VALUE,WEEK_NO\n"
            "2375,26,1,1004906,1,1.39,1\n2375,26,4,1033142,1,0.82,1\n",
            "product.csv": "PRODUCT_ID,MANUFACTURER,DEPARTMENT,COMMODITY_DESC\n1004906,69,PRODUCE,POTATOES\n",
            "hh_demographic.csv": "AGE_DESC,household_key\n1,2\n",
        },
    )
    assert shop.events["time"].diff().drop_nulls().to_list() == [3 * 86_400]
    assert item(shop, "1004906")["title"] == "POTATOES"


def test_book_crossing_escapes_quotes_with_backslashes(tmp_path: Path) -> None:
    shop = read(
        tmp_path,
        {
            "BX-Book-Ratings.csv": '"User-ID";"ISBN";"Book-Rating"\n"276725";"034545104X";"5"\n',
            "BX-Books.csv": (
                '"ISBN";"Book-Title";"Book-Author"\n"034545104X";"Café &amp; Größe";"A \\"B\\" C"\n'
            ).encode("cp1252"),
        },
        time_format="rows",
    )
    assert item(shop, "034545104X")["title"] == "Café & Größe"
    assert 'A "B" C' in str(item(shop, "034545104X")["text"])


SHOPIFY = (
    "Name,Email,Financial Status,Paid at,Created at,Lineitem quantity,Lineitem name,Lineitem price,Lineitem sku\n"
    "#1001,a@x.io,paid,2023-01-02 10:00:00 -0500,2023-01-02 10:00:00 -0500,1,Vase - Red,12.00,V-R\n"
    "#1001,a@x.io,,,2023-01-02 10:00:00 -0500,2,Pan,5.00,\n"
    "#1002,b@x.io,refunded,2023-01-03 10:00:00 -0500,2023-01-03 10:00:00 -0500,1,Pot,9.00,P\n"
    "#1002,b@x.io,,,2023-01-03 10:00:00 -0500,1,Lid,5.00,L\n"
)


def test_a_refunded_shopify_order_is_returned_with_all_its_lines(tmp_path: Path) -> None:
    shop = read(tmp_path, {"orders.csv": SHOPIFY}, "orders.csv")
    assert events(shop) == {
        ("a@x.io", "V-R", 1672671600, PURCHASE, 1.0),
        ("a@x.io", "Pan", 1672671600, PURCHASE, 2.0),
    }
    assert shop.dropped.dropped["return or refund"] == 2
    assert (item(shop, "V-R")["title"], item(shop, "V-R")["price"]) == ("Vase - Red", 12.0)


def test_shopify_variants_inherit_what_the_first_row_says(tmp_path: Path) -> None:
    products = (
        "Handle,Title,Body (HTML),Vendor,Product Category,Type,Tags,Variant SKU,Variant Price\n"
        'vase,Vase,"<p>A <b>fine</b> vase &amp; more</p>",Ikea,Home > Decor,Vases,"red, blue",V-R,12.00\n'
        "vase,,,,,,,V-B,13.00\n"
    )
    orders = "Name,Email,Created at,Lineitem sku\n#1,a@x.io,2023-01-02,V-R\n#2,a@x.io,2023-01-03,V-B\n"
    shop = read(tmp_path, {"orders.csv": orders, "products.csv": products})
    for sku, price in (("V-R", 12.0), ("V-B", 13.0)):
        assert (item(shop, sku)["title"], item(shop, sku)["category"], item(shop, sku)["price"]) == (
            "Vase",
            "Home",
            price,
        )
        assert "A fine vase & more" in str(item(shop, sku)["text"])
        assert "<" not in str(item(shop, sku)["text"])


def test_ga4_spreads_the_items_of_an_event(tmp_path: Path) -> None:
    rows = (
        '{"event_timestamp":"1612069510766593","event_name":"view_item","user_pseudo_id":"10.42","event_params":[{"key":"page",'
        '"value":{"string_value":"x"}}],"items":[{"item_id":"9195","item_name":"Tee","item_category":"Apparel","price":13.0},'
        '{"item_id":"9196","item_name":"Cup"}]}\n'
        '{"event_timestamp":"1612069510766593","event_name":"purchase","user_pseudo_id":"77.1","items":[{"item_id":"9195"}]}\n'
    )
    shop = read(tmp_path, {"ga4.jsonl": rows}, "ga4.jsonl")
    assert {(user, thing, kind) for user, thing, _, kind, _ in events(shop)} == {
        ("10.42", "9195", VIEW),
        ("10.42", "9196", VIEW),
        ("77.1", "9195", PURCHASE),
    }
    assert set(shop.events["time"]) == {1612069510}
    assert (item(shop, "9195")["title"], item(shop, "9195")["category"]) == ("Tee", "Apparel")


def test_gorse_feedback(tmp_path: Path) -> None:
    rows = (
        "feedback_type,user_id,item_id,time_stamp\nstar,a,x,2020-10-01 12:00:00 +0000 UTC\n"
        "read,a,y,2020-10-01 12:00:00 +0000 UTC\n"
    )
    shop = read(tmp_path, {"feedback.csv": rows}, "feedback.csv")
    assert events(shop) == {("a", "x", 1601553600, CLICK, 1.0), ("a", "y", 1601553600, VIEW, 1.0)}


def test_predictionio_events(tmp_path: Path) -> None:
    rows = (
        '{"event":"buy","entityId":"3","targetEntityId":"0","properties":{},"eventTime":"2014-11-21T01:04:14.729Z"}\n'
        '{"event":"$set","entityId":"3","properties":{"a":1},"eventTime":"2014-11-21T01:04:14.729Z"}\n'
        '{"event":"rate","entityId":"4","targetEntityId":"1","properties":{"rating":4.0},"eventTime":"2014-11-21T01:04:14Z"}\n'
    )
    shop = read(tmp_path, {"events.json": rows}, "events.json")
    assert events(shop) == {("3", "0", 1416531854, PURCHASE, 1.0), ("4", "1", 1416531854, RATING, 4.0)}
    assert shop.dropped.dropped["missing item"] == 1


def test_rees46_has_removals_and_the_brand_as_text(tmp_path: Path) -> None:
    rows = (
        "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session\n"
        "2019-10-01 00:00:00 UTC,view,446,2103807459595387724,electronics.smartphone,shiseido,35.79,54131,72d7\n"
        "2019-10-01 00:00:00 UTC,remove_from_cart,390,20535,,aqua,33.20,55474,9333\n"
    )
    shop = read(tmp_path, {"2019-Oct.csv": rows}, "2019-Oct.csv")
    assert events(shop) == {("54131", "446", 1569888000, VIEW, 1.0)}
    assert shop.removals.height == 1
    assert (item(shop, "446")["category"], item(shop, "446")["price"]) == (
        "electronics.smartphone",
        pytest.approx(35.79),
    )
    assert "shiseido" in str(item(shop, "446")["text"])


RETAIL = "{invoice},StockCode,Description,Quantity,InvoiceDate,{price},{customer},Country\n"


@pytest.mark.parametrize(
    ("header", "row", "seconds"),
    [
        (
            ("Invoice", "Price", "Customer ID"),
            "489434,85123A,HÄNGER £5,6,2009-12-01 07:45:00,2.55,13085.0,UK",
            1259653500,
        ),
        (
            ("InvoiceNo", "UnitPrice", "CustomerID"),
            "536365,85123A,HÄNGER £5,6,12/1/2010 8:26,2.55,13085,UK",
            1291191960,
        ),
    ],
    ids=["second edition", "as found on the web"],
)
def test_online_retail_in_other_editions(
    tmp_path: Path, header: tuple[str, str, str], row: str, seconds: int
) -> None:
    invoice, price, customer = header
    returned = row.replace(row.split(",")[0], "C1", 1).replace(",6,", ",-6,")
    table = RETAIL.format(invoice=invoice, price=price, customer=customer) + f"{row}\n{returned}\n"
    shop = read(tmp_path, {"retail.csv": table.encode("cp1252")}, "retail.csv")
    assert events(shop) == {("13085", "85123A", seconds, PURCHASE, 15.3)}
    assert shop.dropped.dropped["cancellation"] == 1
    assert item(shop, "85123A")["title"] == "HÄNGER £5"


def test_two_tables_that_both_hold_events_are_not_chosen_between(tmp_path: Path) -> None:
    rows = "user_id,item_id,time\na,x,1700000000\n"
    with pytest.raises(SourceUnreadable, match=r"shop\.csv and web\.csv"):
        read(tmp_path, {"shop.csv": rows, "web.csv": rows})


def test_interactions_that_are_there_twice_are_refused(tmp_path: Path) -> None:
    rows = "user_id,item_id,time\na,x,1700000000\n"
    with pytest.raises(SourceUnreadable, match="which of them holds the interactions"):
        read(tmp_path, {"interactions.csv": rows, "interactions/part-0.csv": rows})


def test_an_item_table_that_meets_no_event_stops_the_reading(tmp_path: Path) -> None:
    files: Files = {
        "orders.csv": "user_id,item_id,time\na,x,1700000000\n",
        "products.csv": "item_id,title\n1,Vase\n",
    }
    with pytest.raises(DataLost, match=r"ids are \['1'\].*\['x'\].*--accept unmet-items"):
        read(tmp_path, files)
    assert read(tmp_path, files, accept="unmet-items").events.height == 1


def test_yoochoose_has_clicks_and_buys_in_a_file_each(tmp_path: Path) -> None:
    shop = read(
        tmp_path,
        {
            "yoochoose-clicks.dat": "1,2014-04-07T10:51:09.277Z,214536502,0\n"
            "2,2014-04-07T13:56:37.614Z,214662742,0\n",
            "yoochoose-buys.dat": "1,2014-04-07T10:53:09.277Z,214536502,12462,1\n",
            "yoochoose-test.dat": "5,2014-04-07T10:51:09.277Z,214536502,0\n",
        },
    )
    assert {(user, item, kind) for user, item, _, kind, _ in events(shop)} == {
        ("1", "214536502", CLICK),
        ("2", "214662742", CLICK),
        ("1", "214536502", PURCHASE),
    }
    assert "test.dat" not in shop.layout


def test_diginetica_has_views_and_purchases_in_a_file_each(tmp_path: Path) -> None:
    shop = read(
        tmp_path,
        {
            "train-item-views.csv": "sessionId;userId;itemId;timeframe;eventdate\n1;NA;81766;526309;2016-05-09\n",
            "train-purchases.csv": "sessionId;userId;timeframe;eventdate;ordernumber;itemId\n"
            "1;NA;16421;2016-05-10;13836;25795\n",
            "products.csv": "itemId;pricelog2;product.name.tokens\n81766;10;4875,776,56689\n25795;9;4875\n",
        },
        columns="user_id=sessionId",
    )
    assert {(user, item, kind) for user, item, _, kind, _ in events(shop)} == {
        ("1", "81766", VIEW),
        ("1", "25795", PURCHASE),
    }
